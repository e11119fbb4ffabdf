"""Conditions: their codes, what samples draw, and both networks against the formulas written plainly."""

import json

import numpy as np
import pytest
import torch

from framework.config import ModelConfig
from framework.errors import LatentsError
from framework.models import build_discriminator, build_generator, count_parameters, sample_latents
from framework.models.condition import MOST_ROWS, Condition
from tests.conftest import missing

NAN = float("nan")
VALUES = {
    "hair": np.array([0, 1, 2, 0, NAN, 0], np.float32),
    "glasses": np.array([0, 1, 1, 0, 0, NAN], np.float32),
    "age": np.array([10, 20, 30, 10, 50, 20], np.float32),
}
CLASSES = {"hair": ["bald", "short", "long"]}
CONDITION = Condition.of(["hair", "glasses", "age"], VALUES, CLASSES)
SHAPE = {"resolution": 32, "channels": 3, "seed": 3}
KINDS = [
    *({"architecture": architecture} for architecture in ("dcgan", "skip", "residual")),
    *({"architecture": "skip", "discriminator": kind, "projection_channels": 8} for kind in ("projected", "both")),
]


def networks(keys):
    config = ModelConfig(width=4, latent_size=5, **keys)
    return [build(config, **SHAPE, condition=CONDITION).eval() for build in (build_generator, build_discriminator)]


def test_the_code_of_each_kind_of_label():
    assert [(label.kind, label.size) for label in CONDITION.labels] == [("classes", 3), ("binary", 2), ("number", 2)]
    codes = CONDITION.encode({"hair": ["short", None, "long"], "glasses": [1, 0, None], "age": [10, 30, None]}, 3)
    expected = [
        [0, 1, 0, 1, 1, -1, 1],
        [0, 0, 0, -1, 1, 0, 1],  # 30 is the middle of 10 to 50
        [0, 0, 1, 0, 0, 0, 0],
    ]
    np.testing.assert_array_equal(codes, np.array(expected, np.float32))
    assert CONDITION.captions(codes) == [
        "hair short, glasses 1, age 10",
        "hair unknown, glasses 0, age 30",
        "hair long, glasses unknown, age unknown",
    ]
    np.testing.assert_array_equal(CONDITION.encode_rows(CONDITION.decode(codes)), codes)
    np.testing.assert_array_equal(CONDITION.encode({}, 2), np.zeros((2, 7)))
    changed = CONDITION.changed(codes, {"age": 50})
    np.testing.assert_array_equal(changed[:, :5], codes[:, :5])
    np.testing.assert_array_equal(changed[:, 5:], [[1, 1]] * 3)


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        ({"hats": 1}, ["hats", "hair", "glasses", "age"]),
        ({"hair": "curly"}, ["hair", "bald", "short", "long", "curly"]),
        ({"glasses": 0.5}, ["glasses", 0, 1, 0.5]),
        ({"age": 60}, ["age", 10, 50, 60]),
        ({"age": "old"}, ["age", 10, 50, "old"]),
        ({"age": [20, 30]}, ["age", 2, 3]),
    ],
)
def test_a_condition_that_does_not_fit_is_one_line(condition, facts):
    with pytest.raises(LatentsError) as fault:
        CONDITION.encode(condition, 3)
    assert "\n" not in str(fault.value)
    assert not missing(str(fault.value), *facts)


def test_labels_that_cannot_be_a_condition():
    with pytest.raises(ValueError, match="same: has 1 value"):
        Condition.of(["same"], {"same": np.array([1, 1, NAN])}, {})
    with pytest.raises(ValueError, match="many: has 1,001 classes; a condition has at most 1,000"):
        Condition.of(["many"], {"many": np.arange(1001.0)}, {"many": [str(number) for number in range(1001)]})


def test_samples_have_the_conditions_of_training_images_whatever_their_shards():
    codes = CONDITION.draw(6_000, seed=5)
    parts = [CONDITION.draw(stop - start, seed=5, start=start) for start, stop in [(0, 7), (7, 4_000), (4_000, 6_000)]]
    np.testing.assert_array_equal(np.concatenate(parts), codes)
    table = CONDITION.encode_rows(np.stack([VALUES[name].astype(float) for name in CONDITION.names], axis=1))
    rows, counts = np.unique(table, axis=0, return_counts=True)
    found, times = np.unique(codes, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, rows)
    assert np.abs(times / 6_000 - counts / 6).max() < 4 * np.sqrt(0.25 / 6_000)
    # What is fixed is so in each; the others come from the rows that have it: glasses are with short or long hair.
    fixed = CONDITION.decode(CONDITION.draw(500, seed=5, fixed={"glasses": 1}))
    assert set(fixed[:, 1]) == {1.0}
    assert set(fixed[:, 0]) == {1.0, 2.0}
    alone = CONDITION.decode(CONDITION.draw(50, seed=5, fixed={"hair": "bald", "glasses": 1}))  # no row has both
    assert {tuple(row) for row in alone[:, :2]} == {(0.0, 1.0)}


def test_it_goes_through_json_and_says_what_has_changed():
    again = Condition.read(json.loads(json.dumps(CONDITION.document())))
    assert again.labels == CONDITION.labels
    np.testing.assert_array_equal(again.rows, CONDITION.rows)
    np.testing.assert_array_equal(again.draw(9, seed=1), CONDITION.draw(9, seed=1))
    assert again.summary() == CONDITION.summary()
    other = Condition.of(["hair", "glasses", "age"], VALUES | {"age": VALUES["age"] + 1}, CLASSES)
    assert other.summary() != CONDITION.summary()
    assert other.scaled_like(CONDITION.labels).labels == CONDITION.labels
    with pytest.raises(ValueError, match="hair: is bald, long here"):
        Condition.of(["hair"], {"hair": VALUES["hair"] % 2}, {"hair": ["bald", "long"]}).scaled_like(CONDITION.labels)
    for damage in ({"labels": 1}, {"rows": {}}, {"counts": [1]}, {"labels": [{"name": "hair", "kind": "colour"}] * 3}):
        with pytest.raises(ValueError, match=r"damaged|not a label"):
            Condition.read(CONDITION.document() | damage)


def test_of_many_different_rows_evenly_spaced_ones_are_kept():
    ages = np.arange(10_000, dtype=np.float32)
    condition = Condition.of(["age"], {"age": ages}, {})
    assert len(condition.rows) == MOST_ROWS
    assert (condition.rows[0, 0], condition.rows[-1, 0], condition.counts.sum()) == (0, 9_999, MOST_ROWS)
    assert np.abs(np.diff(condition.rows[:, 0]) - 10_000 / MOST_ROWS).max() < 1


@pytest.mark.parametrize("keys", KINDS[:3], ids=str)
def test_the_generator_gets_the_code_itself_behind_its_latent(keys):
    """A number of the code counts as one of z: where it counts more, the images of a condition become alike."""
    generator, _ = networks(keys)
    assert (generator.latent_size, generator.code_size, generator.dense.in_features) == (12, 7, 12)
    normal = torch.from_numpy(sample_latents(4, 5, seed=1))
    codes = torch.from_numpy(CONDITION.draw(4, seed=1))
    with torch.no_grad():
        found, unknown = (generator(torch.cat([normal, each], dim=1)) for each in (codes, torch.zeros(4, 7)))
    assert not torch.allclose(found, unknown)


@pytest.mark.parametrize(("architecture", "width"), [("dcgan", 64), ("skip", 8), ("residual", 16)])
def test_z_has_its_usual_weight_beside_a_long_code(architecture, width):
    """Of 500 classes all numbers of a code but one are 0, so the first layer's weights are no smaller."""
    many = Condition.of(["name"], {"name": np.arange(500.0)}, {"name": [str(number) for number in range(500)]})
    config = ModelConfig(width=width, latent_size=32, architecture=architecture)
    with_code, alone = (build_generator(config, **SHAPE, condition=each) for each in (many, None))
    spreads = [float(each.dense.weight.detach()[:, :32].std()) for each in (with_code, alone)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.1)


@pytest.mark.parametrize("keys", KINDS, ids=str)
def test_the_discriminator_adds_a_projection_of_the_code(keys):
    _, discriminator = networks(keys)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 32, 32, generator=generator) * 2 - 1
    codes = torch.from_numpy(CONDITION.draw(3, seed=2))
    with torch.no_grad():
        for projection in discriminator.projections:
            projection.weight.normal_(generator=generator)
        mask = torch.rand(3, discriminator.features, generator=generator) > 0.4
        logits, features = discriminator.inner.judged(images, mask)
        torch.testing.assert_close(discriminator(images, mask), logits)
        found = discriminator(images, mask, codes)
    columns = logits.unsqueeze(1) if logits.ndim == 1 else logits
    assert columns.shape[1] == len(features) == len(discriminator.projections)
    for column, x, projection, is_bounded, ours in zip(
        columns.T, features, discriminator.projections, discriminator.inner.bounded, found.reshape(3, -1).T, strict=True
    ):
        weight = projection.weight.detach().double()
        weight = weight / torch.linalg.matrix_norm(weight, 2) if is_bounded else weight
        expected = column.double() + torch.einsum("nc,wc,nw->n", codes.double(), weight, x.double())
        torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("keys", KINDS, ids=str)
def test_each_weight_of_the_condition_gets_a_gradient_also_twice(keys):
    _, discriminator = networks(keys)
    images = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    logits = discriminator.combined(discriminator(images, None, torch.from_numpy(CONDITION.draw(2, seed=2))))
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    (logits.sum() + slopes.square().sum()).backward()
    assert all(projection.weight.grad.abs().max() > 0 for projection in discriminator.projections)


def test_without_a_condition_the_networks_are_those_of_before():
    config = ModelConfig(width=4, latent_size=5, architecture="skip", condition=["hair"])
    assert count_parameters(build_generator(config, **SHAPE)) == count_parameters(
        build_generator(config.model_copy(update={"condition": []}), **SHAPE)
    )
