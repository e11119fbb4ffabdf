"""Scores per class: which images they compare, their values by hand, what is obeyed, their cost, what is refused."""

import hashlib
import json

import numpy as np
import pytest
import torch

from framework.checkpoint import CheckpointStore, LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.checkpoint.saved import generator_config
from framework.config import EvaluationConfig, Experiment, ModelConfig, with_overrides
from framework.config.metrics import LEAST_OF_CLASS
from framework.data import open_store
from framework.data.labels import Labels
from framework.errors import ConfigError, EvaluationError
from framework.evaluation import FeatureSpec, make_score, open_source, passes, requested
from framework.evaluation.cost import plan_run
from framework.evaluation.requests.per_class import (
    class_image_sets,
    class_scoring_passes,
    classes_of_run,
    dividing_label,
)
from framework.evaluation.requests.run_metrics import RunImageSets, RunScoringPass, run_scoring_passes
from framework.evaluation.sources.packed import class_side
from framework.evaluation.sources.source import SourceSpec
from framework.images import to_model_range
from framework.metrics import Moments, frechet_distance, manifold_scores
from framework.models import build_generator, sample_latents
from framework.models.assessor.assessor import Assessor, AssessorNetwork, AttributeSpec
from framework.models.condition import Condition
from framework.models.condition_label import Label
from framework.orchestration.scoring.evaluate import _scored
from framework.orchestration.scoring.features import FeatureComputer
from framework.orchestration.scoring.obeyed import METRIC, measured, unasked_line
from framework.orchestration.scoring.score_pass import Reference, score_pass
from framework.report.shared.class_table import class_tables
from framework.runs import RunFolder
from framework.training import AssessorPair
from framework.training.conditions import check_conditions
from jobs import evaluate
from jobs.cli.job import run_job
from jobs.cli.tables import score_lines
from tests.conftest import missing
from tests.evaluation.test_compute import Here

SIDE, KINDS = 32, ("cat", "dog", "bird")
SHAPE = {"resolution": SIDE, "channels": 1}
# Of each kind so many images are for training and so many held out.
COUNTS = {"cat": (130, 9), "dog": (104, 3), "bird": (LEAST_OF_CLASS - 1, 1)}
SAMPLED = {"cat": {"sampled_from": 130}, "dog": {}}
LABELS = ["kind", "striped", "age"]
EVALUATION = {"features": "assessor", "metrics": ["fid", "precision", "coverage", "memorisation"], "samples": 120}


def packed(folder, *, order=None):
    """Packed images of classes, with 0 and 1, and with numbers; some are of no known kind.

    The images are those of the generator that is scored, of other latents and of no condition.
    """
    rng = np.random.default_rng(0)
    kinds = np.concatenate([np.full(sum(each), k) for k, each in enumerate(COUNTS.values())] + [np.full(12, np.nan)])
    held_out = np.concatenate([np.arange(sum(each)) >= each[0] for each in COUNTS.values()] + [np.zeros(12, bool)])
    labels = {"kind": kinds, "striped": rng.integers(0, 2, len(kinds)), "age": rng.integers(1, 90, len(kinds))}
    condition = Condition.of(LABELS, labels, {"kind": KINDS})
    about = {"config": {"latent_size": 3, **SHAPE}, "digest": "", "source": "", "device": "cpu"}
    made = LoadedGenerator(network_of(condition), condition=condition, **about)
    images = made.images(made.latents_with(sample_latents(len(kinds), 3, seed=9), {}))
    order = np.arange(len(kinds)) if order is None else np.random.default_rng(order).permutation(len(kinds))
    images, held_out = images[order], held_out[order]
    folder.mkdir()
    np.save(folder / "images.npy", images)
    manifest = {
        "format": 1,
        "source": "animals",
        "names": [f"{k}.png" for k in range(len(images))],
        "hashes": [hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        "held_out": held_out.tolist(),
        "labels": {name: [float(value) for value in values[order]] for name, values in labels.items()},
        "label_classes": {"kind": list(KINDS)},
        "rejected": [],
        "labels_matched": None,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_store(folder)


def network_of(condition):
    network = build_generator(ModelConfig(width=4, latent_size=3), seed=0, condition=condition, **SHAPE)
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(3.0)  # else all images are nearly grey
    return network.eval()


def training_labels(store):
    return Labels({name: values[store.training_indices] for name, values in store.labels.items()}, store.label_classes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("store") / "packed")


@pytest.fixture(scope="module")
def measurer(store, tmp_path_factory):
    """The folder of an assessor of kinds and stripes, with seeded weights, which takes images for any of them."""
    torch.manual_seed(1)
    network = AssessorNetwork(outputs=4, width=8, **SHAPE).eval()
    with torch.no_grad():
        network.head.bias -= network(to_model_range(torch.from_numpy(np.array(store.images))))[0].median(dim=0).values
    folder = tmp_path_factory.mktemp("assessors") / "measurer"
    attributes = [AttributeSpec("kind", list(KINDS)), AttributeSpec("striped")]
    Assessor(network, attributes=attributes, accuracy={}, width=8, **SHAPE).save(folder)
    return folder


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    """A run with one checkpoint of a conditional generator, whose weights are random."""
    settings = {"model.width": 4, "model.latent_size": 3, "data.resolution": SIDE, "data.channels": 1}
    settings |= {"model.condition": LABELS, "storage.path": str(tmp_path_factory.mktemp("runs")), "name": "animals"}
    settings |= {f"evaluation.{key}": value for key, value in EVALUATION.items()}
    experiment = with_overrides(Experiment(), settings)
    run = RunFolder.create(experiment, ["python"], data={})
    labels = training_labels(store)
    condition = Condition.of(LABELS, labels.values, labels.classes)
    config = generator_config(experiment.model, images_seen=100, condition=condition, **SHAPE)
    place = run.trial("000-ab12").checkpoints
    CheckpointStore(place, digest="d", learned={}, keep=9).save(
        {}, info={}, images_seen=100, generator=(network_of(condition).state_dict(), config)
    )
    run.write_best({"trial": "000-ab12", "checkpoint": "trials/000-ab12/checkpoints/000000000100", "images_seen": 100})
    return run


def divided(run, **evaluation):
    settings = {f"evaluation.{key}": value for key, value in ({"per_class": "kind"} | evaluation).items()}
    return RunFolder(run.folder, with_overrides(run.experiment, settings))


def class_passes(run, store, measurer, **evaluation):
    changed = divided(run, **evaluation)
    wholes = run_scoring_passes(changed, RunImageSets.of_store(store), assessor_folder=measurer)
    return wholes, class_scoring_passes(wholes, classes_of_run(changed, store, [target_of(run)]))


def target_of(run):
    return CheckpointRef(run.folder.location, run.best()["checkpoint"])


def of_kind(store, value, *, held_out=False):
    """The images of a kind, sorted by the sha256 of their content."""
    chosen = np.flatnonzero((store.labels["kind"] == KINDS.index(value)) & (store.held_out == held_out))
    return store.images[sorted(chosen, key=lambda index: store.hashes[index])]


def test_a_class_has_the_same_images_in_whatever_order_the_files_are(store, tmp_path):
    other = packed(tmp_path / "other", order=3)
    for split, value, count in (("training", "cat", 100), ("training", "dog", None), ("held_out", "cat", None)):
        side = class_side(store, split, "kind", value, count=count)
        assert side == class_side(other, split, "kind", value, count=count)
        expected = of_kind(store, value, held_out=split == "held_out")[: side.count]
        assert len(expected) == side.count
        assert side.sampled_from == (130 if count else None)
        for each in (store, other):
            read = open_source(SourceSpec("store", str(each.path), side))
            np.testing.assert_array_equal(np.concatenate([read(0, 2), read(2, side.count)]), expected)
    assert class_side(store, "held_out", "kind", "bird") is None  # a single image
    assert class_side(store, "training", "kind", "owl") is None


def test_other_labels_of_the_same_images_are_noticed(store, tmp_path):
    other = packed(tmp_path / "other")
    side = class_side(store, "training", "kind", "dog")
    document = json.loads((other.path / "manifest.json").read_text())
    document["labels"]["kind"][0] = 1.0
    (other.path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(EvaluationError, match="holds different images than when the score began"):
        open_source(SourceSpec("store", str(other.path), side))


def test_all_classes_have_as_many_images_as_the_smallest_that_is_scored(store):
    label = Label("kind", "classes", KINDS)
    classes = class_image_sets(store, label, samples=5_000)
    counts = [(each.training.value, each.training.count, each.held_out.count) for each in classes.sides]
    assert counts == [("cat", 104, 9), ("dog", 104, 3)]
    (line,) = classes.left_out
    assert not missing(line, "evaluation.per_class", "kind", "bird", 99, 100)
    assert [each.training.count for each in class_image_sets(store, label, samples=50).sides] == [50, 50]
    striped = class_image_sets(store, Label("striped", "binary"), samples=5_000)
    known = store.labels["striped"][store.training_indices]
    assert {each.training.value: each.training.sampled_from or each.training.count for each in striped.sides} == {
        "0": (known == 0).sum(), "1": (known == 1).sum(),
    }  # fmt: skip
    with pytest.raises(EvaluationError) as fault:
        class_image_sets(store, Label("kind", "classes", ("bird", "owl")), samples=50)
    assert not missing(str(fault.value), "evaluation.per_class", "kind", 100, 99)


def test_scores_are_those_of_the_images_of_a_class_by_hand(run, store, measurer, tmp_path):
    target, assessor = target_of(run), Assessor.load(measurer)
    generator = load_generator(target.location)
    _, passes = class_passes(run, store, measurer)
    computer = FeatureComputer(Here(), tmp_path, 1, lambda _: lambda *_: None)
    for run_pass, value in zip(passes, ("cat", "dog"), strict=True):
        scored = _scored(run_pass, target, [*run_pass.made.requests])
        reference = Reference(*run_pass.sides.sources(store))
        (scores,) = score_pass(run_pass.features, reference, [scored], computer, say=lambda _: None)
        samples = generator.images(generator.conditioned({"kind": value}).sample_latents(104, 0))
        real, fake = assessor.features(of_kind(store, value)[:104]), assessor.features(samples)
        by_hand = manifold_scores(real, fake)
        by_hand |= {"fid": frechet_distance(Moments.of(real), Moments.of(fake))}
        found = {score["metric"]: score for score in scores}
        assert found["assessor_frechet_distance_per_class"]["value"] == pytest.approx(by_hand["fid"], rel=1e-9)
        for family in ("precision", "coverage"):
            assert found[f"assessor_{family}_per_class"]["value"] == by_hand[family]
        assert len(found) == 3  # whether samples are copies is asked of all training images
        protocol = found["assessor_precision_per_class"]["protocol"]
        assert protocol["real"] == {
            "count": 104, "split": "training", "height": SIDE, "width": SIDE, "channels": 1, "label": "kind",
            "value": value, "digest": run_pass.sides.training.digest, **SAMPLED[value],
        }  # fmt: skip
        assert protocol["fake"]["value"] == value
        run.add_scores(scores)
        assert run_pass.missing(target) == []


def test_a_named_protocol_gives_its_features_and_not_its_number(run, store):
    sides = RunImageSets.of_store(store)
    config = EvaluationConfig(metrics=["fid1k_64", "fid", "authenticity"], tap=64, samples=120)
    features = FeatureSpec("inception", "weights.pth", "a" * 64, 64)
    classes = class_image_sets(store, Label("kind", "classes", KINDS), samples=120)
    wholes = [RunScoringPass(run, sides, one, features) for one in passes(requested(config, features=features))]
    names = [
        run_pass.protocol(request).name
        for run_pass in class_scoring_passes(wholes, classes)
        for request in run_pass.made.requests
    ]
    assert names == ["fid104_64_per_class"] * 2


@pytest.mark.parametrize(("name", "values"), [("kind", KINDS[:2]), ("striped", ("0", "1"))])
def test_obeyed_is_the_share_in_which_the_assessor_finds_the_class(name, values, run, store, measurer):
    target, assessor = target_of(run), Assessor.load(measurer)
    generator = load_generator(target.location)
    classes = classes_of_run(divided(run, per_class=name), store, [target])
    sources = []
    for sides in classes.sides:
        side = sides.generated(samples=sides.training.count, seed=2).model_copy(update={"digest": generator.digest})
        sources.append((SourceSpec("generator", target.location, side), sides.sources(store)[1]))
    asked = [(*each, {"metric": METRIC, "number": number}) for number, each in enumerate(sources)]
    asked.append((sources[0][0], None, {"metric": METRIC, "number": 2}))
    scores = list(measured(asked, str(measurer), Here()))
    assert [score["number"] for score in scores] == [0, 1, 2]
    for score, value, sides in zip(scores, values, classes.sides, strict=False):
        latents = generator.conditioned({name: value}).sample_latents(sides.training.count, 2)
        number = KINDS.index(value) if name == "kind" else float(value)
        known = (store.labels[name] == number) & store.held_out
        shares = [share(assessor, name, number, images) for images in (generator.images(latents), store.images[known])]
        assert [score["value"], score["detail"]["real"]] == pytest.approx(shares)
    assert (scores[2]["value"], scores[2]["detail"]) == (scores[0]["value"], {"real": None})


def test_a_label_that_no_assessor_knows_is_not_asked_for(measurer):
    assessor = Assessor.load(measurer)
    pair = AssessorPair(assessor, assessor, left_out={"age": "too few"}, folder=measurer.parent)
    assert unasked_line(pair, "kind") is None
    for assessors, label, fact in (
        (None, "kind", "no assessor"),
        (pair, "age", "too few"),
        (pair, "hat", "attributes"),
    ):
        assert not missing(unasked_line(assessors, label), "evaluation.per_class", label, fact)


def share(assessor, name, number, images):
    probability = assessor.predict(np.array(images))[name]
    return np.mean((probability.argmax(axis=1) if name == "kind" else probability >= 0.5) == number)


def test_the_plan_has_all_classes_in_one_line(run, store, measurer):
    wholes, passes = class_passes(run, store, measurer, truncation=[1.0, 0.5], metrics=["density"])
    plans = plan_run([*wholes, *passes], [target_of(run)])
    assert [plan.metrics for plan in plans] == [
        ["assessor_density_psi0_5"], ["assessor_density"],
        ["assessor_density_psi0_5_per_class"], ["assessor_density_per_class"],
    ]  # fmt: skip
    assert [plan.classes for plan in plans] == [(), (), *[("kind cat", "kind dog")] * 2]
    assert [(plan.todo, plan.real, plan.images) for plan in plans[2:]] == [(2, 208, 416), (2, 0, 208)]
    assert plans[2].document()["classes"] == ["kind cat", "kind dog"]


def test_the_tables_of_classes(run, store, measurer):
    _, passes = class_passes(run, store, measurer, metrics=["fid", "coverage"])
    scores = [
        make_score(protocol.name, 1.0 + number, protocol)
        for number, run_pass in enumerate(passes)
        for protocol in map(run_pass.protocol, run_pass.made.requests)
    ]
    fakes = [run_pass.sides.generated(samples=104, seed=0) for run_pass in passes]
    for fake, value, real, count in zip(fakes, (0.75, 0.5), (1.0, None), (9, None), strict=True):
        protocol = {"family": "obeyed", "assessor": "a" * 64, "fake": fake.model_dump(exclude_none=True)}
        protocol |= {} if count is None else {"real": {"count": count}}
        scores.append({"metric": METRIC, "value": value, "detail": {"real": real}, "protocol": protocol})
    other = {**scores[0], "protocol": {**scores[0]["protocol"], "fake": {**scores[0]["protocol"]["fake"], "count": 50}}}
    table, smaller = class_tables([*scores, other, {"metric": "fid_per_class"}])
    assert (table.label, table.features, list(table.metrics)) == ("kind", "assessor", ["fid", "coverage"])
    assert [(row.value, row.images, row.obeyed, row.real_obeyed, row.held_out) for row in table.rows] == [
        ("cat", 104, 0.75, 1.0, 9), ("dog", 104, 0.5, None, None),
    ]  # fmt: skip
    assert [row.scores["coverage"]["value"] for row in table.rows] == [1.0, 2.0]
    assert [(row.value, row.images, row.obeyed) for row in smaller.rows] == [("cat", 50, None)]
    lines = score_lines(scores).splitlines()
    assert lines[2].split() == ["kind", "images", "fid", "coverage", "obeyed", "held-out", "real"]
    assert [line.split() for line in lines[3:]] == [
        ["cat", "104", "1", "1", "75%", "100%", "of", "9"], ["dog", "104", "2", "2", "50%", "-"],
    ]  # fmt: skip


def test_without_a_class_nothing_has_changed(run, store):
    assert "per_class" not in json.dumps(run.experiment.learned())
    side = RunImageSets.of_store(store).generated(samples=10, seed=0)
    assert not {"label", "value"} & side.model_dump(exclude_none=True).keys()
    assert classes_of_run(run, store, [target_of(run)]).sides == ()


def test_a_generator_without_a_condition_has_no_classes(generator_folder):
    target = CheckpointRef(str(generator_folder.parent), "generator")
    with pytest.raises(EvaluationError) as fault:
        dividing_label("kind", [target])
    assert not missing(str(fault.value), "evaluation.per_class", "kind", "model.condition")
    with pytest.raises(ConfigError) as fault:
        with_overrides(Experiment(), {"evaluation.per_class": "kind"})
    assert not missing(str(fault.value), "evaluation.per_class", "kind", "model.condition")


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("key", "facts"),
    [("evaluation.per_class=age", ["kind, striped", "age"]), ("evaluation.per_class=hat", ["hat", "striped"])],
)
def test_a_job_says_so_before_it_starts(key, facts, more, run, capsys):
    with pytest.raises(SystemExit) as ended:
        run_job(evaluate.JOB, evaluate.body, [run.folder.location, key, *more])
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert (ended.value.code, said.out) == (2, "")
    assert line.startswith("error: evaluation.per_class: ")
    assert not missing(line, *facts)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"per_class": "age"}, ["kind, striped", "age"]),
        ({"per_class": "rare"}, ["rare", 100, 88]),
    ],
)
def test_a_training_refuses_them_before_it_starts(settings, facts, run, store):
    labels = training_labels(store)
    labels.values["rare"] = np.full(len(labels.values["kind"]), np.nan, np.float32)
    labels.values["rare"][:176] = np.arange(176) % 2
    keys = {f"evaluation.{key}": value for key, value in settings.items()}
    experiment = with_overrides(run.experiment, {"model.condition": [*LABELS, "rare"], **keys})
    with pytest.raises(ConfigError) as fault:
        check_conditions(labels, experiment)
    assert not missing(str(fault.value), "evaluation.per_class", *facts)
    searched = {"search.space": {"model.condition": {"choice": [["kind"], []]}}, "model.condition": []}
    with pytest.raises(ConfigError, match=r"search\.space"):
        check_conditions(labels, with_overrides(run.experiment, {"evaluation.per_class": "kind", **searched}))
