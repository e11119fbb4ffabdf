"""Scores over the truncation ψ: their names and protocols, samples of a linear generator, and the figure."""

import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from framework import load_generator
from framework.config import EvaluationConfig, Experiment, with_overrides
from framework.errors import ConfigError, EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.protocol import ImageSetSpec, Protocol, is_truncated, make_score
from framework.evaluation.requests.passes import pair_passes, passes
from framework.evaluation.requests.requested import requested
from framework.evaluation.sources.source import find_source, open_source
from framework.evaluation.truncation import Point, draw_truncation, truncation_figure, truncation_points
from framework.evaluation.values.reference import features_name
from framework.metrics import Moments, frechet_distance
from tests.conftest import missing

SPEC = FeatureSpec("inception", "/here/weights.pth", "a" * 64, 768)
REAL = ImageSetSpec(count=4_476, split="training", height=32, width=32, channels=3, digest="b" * 64)
FAKE = ImageSetSpec(count=5_000, split="generated", height=32, width=32, channels=3, seed=0)
SCALE, SIDE = 20.0, 4
LINEAR = f"""
import numpy as np

class Linear:
    latent_size = {SIDE**2}

    def images(self, latents):
        pixels = 128 + {SCALE} * latents
        return np.rint(pixels).clip(0, 255).astype(np.uint8).reshape(len(latents), {SIDE}, {SIDE}, 1)
"""


@pytest.fixture
def linear(tmp_path, monkeypatch):
    """The location of a generator that gives each pixel a latent of its own, times 20 around 128."""
    (tmp_path / "linear_for_truncation.py").write_text(LINEAR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return "entry:linear_for_truncation:Linear"


def asked(*truncation, metrics=("fid",), samples=600):
    config = EvaluationConfig.model_validate(
        {"metrics": list(metrics), "samples": samples, "truncation": list(truncation)}
    )
    return requested(config, features=SPEC)


def test_each_value_is_scored_once_in_ascending_order():
    requests = asked(1.0, 0.5, 0.7, 0.5, metrics=("fid", "recall", "fid5k_768"))
    assert [each.truncation for each in requests] == [0.5] * 3 + [0.7] * 3 + [None] * 3
    assert [one.truncation for one in passes(requests)] == [0.5, 0.7, None]


def test_psi_of_1_changes_no_name_protocol_or_file_and_any_other_all_three():
    plain, scaled = (Protocol.of(SPEC, fake=side, real=REAL) for side in (FAKE, at(0.7)))
    assert plain.name == "fid5k_768"
    assert "truncation" not in plain.document()["fake"]
    assert plain.document()["fake"] == {
        "count": 5000, "split": "generated", "height": 32, "width": 32, "channels": 3, "seed": 0,
    }  # fmt: skip
    assert scaled.name == "fid5k_768_psi0_7"
    assert scaled.document() == plain.document() | {
        "name": scaled.name,
        "fake": {**plain.document()["fake"], "truncation": 0.7},
    }
    digest = {"digest": "c" * 64}
    # The name that this file had before there was a truncation.
    assert features_name(SPEC, FAKE.model_copy(update=digest)) == "72be0e1854f48bf97474304ddd3cecd2.npy"
    assert features_name(SPEC, at(0.7, **digest)) != features_name(SPEC, FAKE.model_copy(update=digest))
    assert [is_truncated({"protocol": each.document()}) for each in (plain, scaled)] == [False, True]


def at(truncation, **more):
    return FAKE.model_copy(update={"truncation": truncation, **more})


def test_a_linear_generator_s_deviation_is_scaled_by_psi(linear):
    source = find_source(linear, samples=600, seed=3)
    prepared = pair_passes(asked(0.5, 0.7, 1.0), reference=source, scored=source)
    assert [fake.side.truncation for _, _, fake in prepared] == [0.5, 0.7, None]
    assert all(real.side.truncation is None for _, real, _ in prepared)
    rows = {
        fake.side.truncation or 1.0: open_source(fake)(0, 600).reshape(600, -1).astype(np.float64)
        for _, _, fake in prepared
    }
    latents = load_generator(linear).sample_latents(600, 3).astype(np.float64)
    mean, variance = latents.mean(axis=0), latents.var(axis=0, ddof=1)
    for psi, pixels in rows.items():
        moments = Moments.of(pixels)
        np.testing.assert_allclose(moments.mean, 128 + SCALE * psi * mean, atol=0.1)  # rounding to whole levels
        np.testing.assert_allclose(np.diag(moments.covariance), (SCALE * psi) ** 2 * variance + 1 / 12, rtol=0.01)
        np.testing.assert_array_equal(
            pixels, load_generator(linear).truncated(psi).images((psi * latents).astype(np.float32)).reshape(600, -1)
        )
        # Between Gaussians whose covariances are multiples of one another, ψ² C and C.
        expected = (SCALE * (1 - psi)) ** 2 * (float((mean**2).sum()) + float(variance.sum()))
        assert frechet_distance(Moments.of(rows[1.0]), moments) == pytest.approx(expected, rel=0.01, abs=0.1)


def test_images_have_no_latents(tmp_path, pictures):
    for number, picture in enumerate(pictures(4)):
        Image.fromarray(picture[..., 0]).convert("RGB").save(tmp_path / f"{number}.png")
    source = find_source(str(tmp_path), samples=4, seed=0)
    assert len(pair_passes(asked(1.0), reference=source, scored=source)) == 1
    with pytest.raises(EvaluationError) as caught:
        pair_passes(asked(0.7, 1.0), reference=source, scored=source)
    assert missing(str(caught.value), "evaluation.truncation", "0.7", tmp_path, "1.0") == []


@pytest.mark.parametrize("value", [0, -0.5, 4.5, [0.5, 0.0], "half", [], [0.7, True]])
def test_what_is_out_of_range_is_named(value):
    with pytest.raises(ConfigError) as caught:
        with_overrides(Experiment(), {"evaluation.truncation": value})
    assert "evaluation.truncation" in str(caught.value)
    if isinstance(value, float):
        assert missing(str(caught.value), 0, 4, value) == []


def test_one_number_is_a_list_of_one():
    assert with_overrides(Experiment(), {"evaluation.truncation": 0.7}).evaluation.truncation == [0.7]


def scores_of(values, **side):
    """One score of each metric for each ψ: `values` maps ψ to (precision, recall, distance)."""
    found = []
    for psi, row in values.items():
        fake = at(None if psi == 1.0 else psi, **side)
        for metric, value in zip(("precision", "recall", "fid"), row, strict=True):
            protocol = Protocol.of(SPEC, fake=fake, real=REAL, metric=metric)
            found.append(make_score(protocol.name, value, protocol))
    return found


def test_points_are_scores_that_differ_in_psi_alone():
    values = {1.0: (0.5, 0.6, 20.0), 0.5: (0.9, 0.2, 60.0)}
    ours = scores_of(values)
    others = scores_of({0.7: (0.1, 0.1, 1.0)}, count=1_000) + scores_of({0.8: (0.2, 0.2, 2.0)}, seed=1)
    on_gpu = scores_of({0.7: (0.7, 0.4, 30.0)}, device="NVIDIA L4")
    expected = [Point(0.5, 0.9, 0.2, 60.0), Point(0.7, 0.7, 0.4, 30.0), Point(1.0, 0.5, 0.6, 20.0)]
    assert truncation_points(others + ours + on_gpu, ours) == expected
    assert truncation_points(scores_of({0.7: (0.7, 0.4, 30.0)}), ours) == []


CROWDED = [Point(0.1 * k, 0.8 + 0.001 * (k % 3), 0.4 + 0.0005 * k, 20.0 + k) for k in range(1, 13)]
SPREAD = [Point(0.3, 0.95, 0.02, 120.0), Point(0.7, 0.86, 0.35, 30.0), Point(1.0, 0.72, 0.5, 22.0)]
EQUAL = [Point(psi, 0.0, 0.0, 5.0) for psi in (0.5, 0.7, 1.0)]


@pytest.mark.parametrize("points", [CROWDED, SPREAD, EQUAL], ids=["crowded", "spread", "equal"])
def test_labels_name_every_psi_and_cover_nothing(points):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = truncation_figure(points, title="Samples")
    FigureCanvasAgg(figure).draw()
    shares, distances = figure.axes
    texts = ", ".join(label.get_text().removeprefix("ψ ") for label in shares.texts)
    assert sorted(map(float, texts.split(", "))) == pytest.approx([each.truncation for each in points])
    boxes = [label.get_window_extent() for label in shares.texts]
    frame = shares.get_window_extent()
    marks = shares.transData.transform([(each.recall, each.precision) for each in points])
    for number, box in enumerate(boxes):
        assert frame.x0 < box.x0
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert not any(box.contains(*mark) for mark in marks)
    np.testing.assert_allclose(
        distances.collections[0].get_offsets(), [(each.truncation, each.frechet_distance) for each in points]
    )
    assert (shares.get_xlabel(), shares.get_ylabel()) == ("recall", "precision")


def test_a_figure_needs_two_points_of_a_kind():
    alone = [dataclasses.replace(each, precision=None) for each in SPREAD]
    assert len(truncation_figure(alone, title="Samples").axes) == 1
    assert draw_truncation([dataclasses.replace(each, frechet_distance=None) for each in alone], title="x") is None
    one, two = (draw_truncation(SPREAD, title="Samples") for _ in range(2))
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
