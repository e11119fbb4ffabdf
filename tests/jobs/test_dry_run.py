"""--dry-run of every job on every kind of run: it writes nothing, starts nothing, and says what would be done."""

import hashlib
import importlib
import json
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from framework.checkpoint import CheckpointStore, load_generator
from framework.config import Experiment, with_overrides
from framework.data import prepare
from framework.latents.directions.direction import Direction, save_direction
from framework.models import build_encoder, build_generator
from framework.orchestration.context import about_images
from framework.runs import RunFolder, cache_folder
from framework.training import train_assessors
from jobs.cli.job import run_job
from jobs.cli.job_files import job_names
from tests.conftest import missing
from tests.jobs.test_foreign import MINE
from tests.jobs.test_import_keras import generator, save

pytestmark = pytest.mark.long

SMALL = {
    "data.source": "drawn_faces", "data.resolution": 32, "data.limit": 180, "model.width": 4, "model.latent_size": 4,
    "assessor.images": 128, "assessor.width": 8, "latents.maps.label": "hair",
}  # fmt: skip
FAMILIES = ("gan", "vae", "autoencoder")
KINDS = (*FAMILIES, "imported", "unlabelled", "unpacked")
NEW = "data: {source: drawn_faces, resolution: 32, limit: 100}\n"
# The jobs that take a run, with what else they need.
ON_A_RUN = {
    "train": (), "search": (), "pipeline": (), "prepare_data": (), "train_assessor": (), "evaluate": (),
    "interpolate": (), "arithmetic": (), "discover": ("latents.directions.method=sefa",), "steer": (),
    "project": ("photo.png",), "latent_map": (), "likelihood": (), "compare": ("output=page.html",),
    "export": ("given",), "report": (), "status": (), "generate": ("output=given",),
}  # fmt: skip
REFUSED = {  # what the job itself refuses too
    ("latent_map", "gan"): "needs an encoder",
    ("latent_map", "imported"): "needs an encoder",
    ("latent_map", "unlabelled"): "needs an encoder",
    ("latent_map", "unpacked"): "needs an encoder",
    ("likelihood", "gan"): "",
    ("likelihood", "autoencoder"): "",
    ("likelihood", "imported"): "",
    ("likelihood", "unlabelled"): "",
    ("likelihood", "unpacked"): "",
    ("steer", "imported"): "the run has no directions yet",
    ("train_assessor", "unlabelled"): "no labels to learn from",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in: runs of every kind with their images, a photograph, a Keras file, configs."""
    folder = tmp_path_factory.mktemp("dry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RAY_TMPDIR", str(folder / "ray"))  # where a Ray would leave files
        patch.setenv("TORCH_HOME", str(folder / "torch"))  # without weights of Inception
        patch.setattr(sys, "path", [*sys.path])
        (folder / "mine_for_dry_runs.py").write_text(MINE)
        (folder / "new.yaml").write_text(NEW)
        (folder / "foreign.yaml").write_text(f"{NEW}model: {{entry: mine_for_dry_runs:Net}}\n")
        save(folder / "saved.h5", *generator())
        (folder / "pictures").mkdir()
        shades = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), np.uint8)
        for number, pixels in enumerate(shades):
            Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
        Image.fromarray(shades[0]).save(folder / "photo.png")
        for family in FAMILIES:
            begun(family, {"model.family": family})
        begun("unlabelled", {"data.source": "folder", "data.path": str(folder / "pictures")})
        begun("unpacked", {"data.limit": 150}, packed=False)
        keys = ["data.source=drawn_faces", "data.limit=180", "assessor.images=128", "assessor.width=8"]
        assert run_to_the_end("import_keras", "saved.h5", "output=runs/imported", *keys) == 0
        yield folder


def begun(name, keys, *, packed=True):
    """A run with a scored checkpoint of weights as they were drawn, a direction and a projection."""
    experiment = with_overrides(Experiment(), SMALL | {"name": name, "storage.path": "runs"} | keys)
    cache, data = cache_folder(experiment.storage), {"digest": "0" * 64, "training": 100, "held_out": 20, "labels": []}
    data |= {"resolution": 32, "channels": 3}
    if packed:
        images = prepare(experiment.data, cache=cache)
        data = about_images(images)
        if data["labels"]:
            train_assessors(images, experiment.assessor, cache=cache)
    run = RunFolder.create(experiment, ["python"], data=data)
    shape = {"resolution": 32, "channels": 3, "seed": 0}
    network, config = build_generator(experiment.model, **shape), experiment.model.model_dump(mode="json")
    encoder = None if experiment.model.family == "gan" else build_encoder(experiment.model, **shape).state_dict()
    learned = {"data": data["digest"], **experiment.learned()}
    store = CheckpointStore(run.trial("a").checkpoints, digest="d", learned=learned, keep=1)
    config |= {"resolution": 32, "channels": 3, "images_seen": 64}
    store.save({}, info={"images_seen": 64}, images_seen=64, generator=(network.state_dict(), config), encoder=encoder)
    run.trial("a").write_params({})
    run.write_best({"trial": "a", "checkpoint": "trials/a/checkpoints/000000000064", "images_seen": 64,
                    "score": {"metric": "fid", "value": 1.0, "protocol": {}}})  # fmt: skip
    digest = load_generator(run.folder.location).digest
    save_direction(Direction("smiling", "difference", np.float32([1, 0, 0, 0]), 1.0, digest), run.directions)


def run_to_the_end(name, *arguments):
    job = importlib.import_module(f"jobs.{name}")
    with pytest.raises(SystemExit) as ended:
        run_job(job.JOB, job.body, list(arguments))
    return ended.value.code


def everything(folder):
    """Every file and folder below it, with its time and content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
        )
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture
def dry(place, capsys):
    """Calls a job with --dry-run; gives exit status, document and stderr."""

    def call(name, *arguments):
        before, processes = everything(place), psutil.Process().children(recursive=True)
        code = run_to_the_end(name, *arguments, "--dry-run", "--json")
        said = capsys.readouterr()
        assert everything(place) == before
        assert psutil.Process().children(recursive=True) == processes
        assert "Traceback" not in said.err
        assert code in (0, 2), said.err
        if code:
            assert said.err.splitlines()[-1].startswith("error: ")
        return code, json.loads(said.out) if code == 0 else None, said.err

    return call


def test_every_job_is_here():
    assert {*ON_A_RUN, "import_keras"} == set(job_names())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ON_A_RUN)
def test_a_job_on_a_run_writes_nothing(dry, name, kind):
    code, _, err = dry(name, f"runs/{kind}", *ON_A_RUN[name])
    refused = REFUSED.get((name, kind))
    assert code == (0 if refused is None else 2), err
    assert (refused or "") in err


@pytest.mark.parametrize("name", ["prepare_data", "train_assessor", "train", "search", "pipeline"])
def test_a_run_that_is_not_begun_stays_so(dry, name):
    code, document, err = dry(name, "new.yaml")
    assert (code, document["images"]) == (0, 100)
    assert "Images: 100 files in drawn_faces, to be packed at 32 px (0.3 MiB in the cache)" in err


@pytest.mark.parametrize("name", ["discover", "interpolate", "arithmetic", "evaluate"])
def test_a_generator_of_ones_own_is_opened_and_leaves_nothing(dry, name):
    entry = "model.entry=mine_for_dry_runs:Net"
    code, document, err = dry(name, "foreign.yaml", entry, "latents.directions.method=steerable")
    assert (code, document is None) == (0, False), err
    assert "Generator: runs your code, mine_for_dry_runs:Net" in err


def test_the_sheet_of_augmentations_is_all_that_is_written(place, dry, capsys):
    packed = ("new.yaml", "--dry-run", "data.limit=180", "augmentation_sheet=sheet.png")
    refused = [
        (("new.yaml",), "augmentation_sheet: objective.augmentations is empty"),
        (
            ("new.yaml", "objective.augmentations=[color]", "data.limit=170"),
            "first run python -m jobs.prepare_data new.yaml data.limit=170",
        ),
        (("new.yaml", "augmentation_sheet=sheet.jpg"), "must end in .png"),
    ]
    for arguments, why in refused:
        assert why in dry("train", "augmentation_sheet=sheet.png", *arguments)[2]
    before = everything(place)
    assert run_to_the_end("train", *packed[:1], *packed[2:]) == 2
    assert "augmentation_sheet: is written by --dry-run only" in capsys.readouterr().err
    assert everything(place) == before
    assert run_to_the_end("train", *packed, "objective.augmentations=[color, rotation]") == 0
    assert everything(place).keys() - before.keys() == {"sheet.png"}
    with Image.open("sheet.png") as picture:
        assert picture.size[0] > 8 * 32


def test_an_import_is_not_written(dry):
    assert dry("import_keras", "saved.h5", "output=runs/another")[0] == 0


def test_the_images_through_each_network_are_counted(dry):
    keys = ("latents.walks.steps=5", "latents.walks.pairs=3", "latents.walks.corner_steps=4",
            "latents.walks.loop_samples=2")  # fmt: skip
    _, document, err = dry("interpolate", "runs/gan", *keys)
    drawn, measured = document["steps"]
    # Nine samples, the grid, two legs of 30 frames, two walks of 5.
    assert drawn["images_through"] == {"generator": 9 + 16 + 60 + 10, "features": 0, "encoder": 0}
    # Two paths of 65 points for each of three pairs and for the picture, and the ends of each.
    assert measured["images_through"]["generator"] == measured["images_through"]["features"] == 4 * 130 + 2 * 7
    assert document["disk_bytes"] == 95 * 32 * 32 * 3
    assert "Assessor: trained already" in err
    assert not any(step["exists"] for step in document["steps"])


def test_photographs_without_labels_finish_the_main_job(dry):
    """Without Inception's weights and without an assessor: what there is, and what is left out, is told."""
    code, document, err = dry("pipeline", "runs/unlabelled")
    assert (code, document["assessors"]) == (0, False)
    _, measured, sheet = document["studies"]["steps"]
    assert measured["images_through"]["features"] == measured["images_through"]["generator"] > 0
    assert sheet["images_through"]["features"] == 0
    (line,) = (line for line in err.splitlines() if line.startswith("Arithmetic: "))
    assert missing(line, "glasses - no_glasses + smiling", "was not run", "only the numbered sheet") == []
    assert any(line.startswith("Assessor: none") for line in err.splitlines())
    for name, study in (("evaluate", "passes"), ("project", "steps")):
        code, document, _ = dry(name, "runs/unlabelled")
        assert (code, bool(document[study])) == (0, True)


def test_what_exists_is_not_computed_again(dry):
    _, first, _ = dry("discover", "runs/gan", "latents.directions.method=ganalyze", "latents.directions.samples=64")
    assert [step["exists"] for step in first["steps"]] == [False]
    _, effects, _ = dry("steer", "runs/gan", "latents.steering.directions=[smiling]")
    assert [step["what"].split(" of ")[0] for step in effects["steps"]] == [
        "strips and films", "random directions to compare with", "effect",
    ]  # fmt: skip


COMPASS = ("latents.directions.method=compass", "latents.directions.name=mine")
MISSING = [
    ("prepare_data", ("new.yaml", "data.labels=gone.csv"), "data.labels: gone.csv does not exist"),
    ("train", ("new.yaml", "data.labels=gone.csv"), "data.labels: gone.csv does not exist"),
    ("train", ("new.yaml", "training.start_from=gone"), "training.start_from"),
    ("steer", ("runs/gan", "latents.steering.directions=[beard]"), "there is no direction beard"),
    ("interpolate", ("runs/gan", "latents.start=[me]"), "latents.start: no projection me"),
    ("arithmetic", ("runs/gan", "latents.start=[me]"), "latents.start: no projection me"),
    ("project", ("runs/gan", "gone.png"), "gone.png: cannot be read"),
    (
        "discover",
        ("runs/gan", "latents.directions.method=compass", "latents.directions.sorted_samples=gone.csv"),
        "gone",
    ),
    ("discover", ("runs/gan", "latents.directions.samples=512"), "latents.directions.samples"),
    ("interpolate", ("runs/gone",), "runs/gone: does not exist"),
    ("prepare_data", ("new.yaml", "storage.path=photo.png/x"), "photo.png"),
]


@pytest.mark.parametrize(("name", "arguments", "said"), MISSING)
def test_what_is_missing_is_told_as_the_job_tells_it(dry, capsys, place, name, arguments, said):
    code, _, err = dry(name, *arguments)
    assert code == 2
    assert said in err.splitlines()[-1]
    if "storage.path" not in arguments[-1]:  # which file cannot be written first, only the job can say
        assert run_to_the_end(name, *arguments) == 2
        assert capsys.readouterr().err.splitlines()[-1] == err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("train", ("new.yaml", "search.metric=fid"), "but the weights are missing"),
        ("train", ("runs/unlabelled", "evaluation.features=assessor"), "no label that an assessor can learn"),
        ("train", ("new.yaml", "evaluation.weights=gone.pth"), "evaluation.weights: there is no file gone.pth"),
        ("pipeline", ("new.yaml", "latents.start=[me]"), "latents.start: no projection me"),
        ("discover", ("runs/unlabelled",), "interfacegan needs an assessor, but the data has no labels"),
        ("discover", ("runs/gan", "latents.directions.attributes=[age]"), "no attribute age; known: glasses"),
        ("project", ("runs/unlabelled", "latents.projection.features=assessor"), "there is no assessor"),
        ("train", ("runs/gan", "model.latent_size=8"), "has checkpoints made with different settings"),
    ],
)  # fmt: skip
def test_what_the_job_would_find_out_late_is_told_at_once(dry, name, arguments, said):
    code, _, err = dry(name, *arguments)
    assert code == 2
    assert said in err.splitlines()[-1]


def test_a_disk_that_is_too_small_is_told(dry):
    code, _, err = dry("prepare_data", "new.yaml", "data.limit=1000000000", "data.resolution=256")
    assert code == 2
    assert "the packed images need about" in err
