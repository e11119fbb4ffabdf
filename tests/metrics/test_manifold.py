import numpy as np
import prdc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import KnnRadii, cover, manifold_scores, nearest, radii, radii_of
from framework.metrics.manifold import BLOCK_ROWS


def sides(real=700, fake=600, size=16, seed=0, spread=0.8):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(real, size))
    return x.astype(np.float32), (spread * rng.normal(size=(fake, size)) + 0.2).astype(np.float32)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("real", "fake"), [(700, 600), (256, 1030), (40, 31)])
def test_they_are_those_of_prdc(k, real, fake, capsys):
    x, y = sides(real, fake)
    expected = prdc.compute_prdc(x, y, nearest_k=k)
    found = manifold_scores(x, y, precision_k=k, density_k=k)
    assert found == {name: pytest.approx(value, rel=1e-15, abs=0) for name, value in expected.items()}


def test_on_a_line_by_hand():
    """Real 0, 1, 3 with k = 1: radii 1, 1, 2. Fake 0.5, 4: radii 3.5 each."""
    real, fake = np.array([[0.0], [1], [3]]), np.array([[0.5], [4.0]])
    assert radii(real, k=1).tolist() == [1, 1, 2]
    found = cover(real, fake, KnnRadii(radii(real, k=1), radii(real, k=2), radii(fake, k=1)))
    assert found.precise.tolist() == [2, 1]
    assert found.dense.tolist() == [3, 1]  # balls of 3, 2 and 3
    assert (found.recalled, found.covered) == (3, 3)
    assert (found.nearest.tolist(), found.nearest_index.tolist()) == ([0.5, 1.0], [0, 2])
    assert found.scores(density_k=2) == {"precision": 1.0, "recall": 1.0, "density": 1.0, "coverage": 1.0}


def test_who_computes_which_rows_changes_no_bit():
    real, fake = sides(5 * BLOCK_ROWS + 40, 900)
    balls = KnnRadii(radii(real, k=3), radii(real, k=5), radii(fake, k=3))
    shares = [(0, 512), (512, 1024), (1024, len(real))]
    assert (
        np.concatenate([radii(real, k=3, rows=share) for share in shares]).tobytes() == balls.real_precision.tobytes()
    )
    whole = cover(real, fake, balls)
    parts = [cover(real, fake, balls, rows=share) for share in shares]
    for merged in (parts[2] + parts[0] + parts[1], parts[0] + (parts[1] + parts[2])):
        for name, value in vars(whole).items():
            assert np.array_equal(getattr(merged, name), value), name


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), count=st.integers(6, 60))
def test_a_set_covers_itself_and_nobody_far_away(seed, count):
    x, _ = sides(count, 10, 4, seed)
    assert manifold_scores(x, x)["precision"] == manifold_scores(x, x)["coverage"] == 1.0
    assert set(manifold_scores(x, x + 1000).values()) == {0.0}


def test_twins_are_neighbours_and_the_first_is_named():
    points = np.repeat(np.arange(4.0)[:, None], 3, axis=0)
    assert radii(points, k=2).tolist() == [0.0] * 12
    distances, numbers = nearest(np.array([[1.0], [2.4]]), points)
    assert numbers.tolist() == [3, 6]
    assert distances.tolist() == pytest.approx([0.0, 0.4])


def test_what_cannot_be_is_refused():
    x, y = sides(5, 5)
    with pytest.raises(ValueError, match=r"5 neighbours .* more than 5 points.* 5$"):
        manifold_scores(x, y)
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        radii(x, k=2)
    with pytest.raises(ValueError, match="features of 16 and of 3"):
        nearest(y, y[:, :3])


def test_several_neighbours_in_one_pass_are_those_of_a_pass_each():
    points = np.random.default_rng(3).normal(size=(700, 6))
    both = radii_of(points, ks=(3, 5), rows=(256, 600))
    assert both.shape == (344, 2)
    for column, k in enumerate((3, 5)):
        alone = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[256:600, k]
        assert both[:, column] == pytest.approx(alone, rel=1e-9)
        assert both[:, column].tolist() == radii(points, k=k, rows=(256, 600)).tolist()
