"""`jobs.import_keras`: a file of Keras's becomes a run that other jobs take; what is wrong is one line, and no file."""

import importlib
import json

import h5py
import numpy as np
import pytest

from framework.checkpoint import Checkpoint, load_generator
from framework.checkpoint.reference import every_target, find_target
from framework.config import load_experiment
from framework.models import build_generator
from framework.runs import RunFolder
from framework.storage import open_folder
from jobs.cli.job import run_job
from tests.conftest import missing

pytestmark = pytest.mark.long

CHECKPOINT = "trials/imported/checkpoints/000000000000"


def window(kind, filters, kernel, strides=1):
    settings = {"filters": filters, "kernel_size": [kernel] * 2, "strides": [strides] * 2, "padding": "same"}
    return kind, settings | {"data_format": "channels_last", "activation": "linear"}


def leaky(slope=0.20000000298023224):
    return "LeakyReLU", {"alpha": slope}


def generator(slope=0.20000000298023224, last="tanh"):
    """The notebook's at 32 px: kinds with settings, and shapes of kernels."""
    up, image = window("Conv2DTranspose", 4, 4, 2), window("Conv2D", 3, 8)
    layers = [("Dense", {"units": 256}), leaky(slope), ("Reshape", {"target_shape": [8, 8, 4]})]
    layers += [up, leaky(), up, leaky(), image, ("Activation", {"activation": last})]
    return [None, 5], layers, {0: (5, 256), 3: (4, 4, 4, 4), 5: (4, 4, 4, 4), 7: (8, 8, 4, 3)}


def discriminator(width=4):
    """The notebook's at 32 px."""
    first, down = window("Conv2D", width, 3), window("Conv2D", width, 3, 2)
    layers = [first, leaky(), down, leaky(), down, leaky(), ("Flatten", {}), ("Dropout", {"rate": 0.3})]
    layers += [("Dense", {"units": 1, "activation": "sigmoid"})]
    kernel = (3, 3, width, width)
    return [None, 32, 32, 3], layers, {0: (3, 3, 3, width), 2: kernel, 4: kernel, 8: (64 * width, 1)}


def save(path, given, layers, kernels, seed=0):
    """As Keras 2 lays out its HDF5."""
    random = np.random.default_rng(seed)
    described = [{"class_name": kind, "config": {"name": f"l{n}", **keys}} for n, (kind, keys) in enumerate(layers)]
    described[0]["config"]["batch_input_shape"] = given
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": described}})
        for number in range(len(layers)):
            group = file.create_group(f"model_weights/l{number}")
            names = [f"l{number}/kernel:0", f"l{number}/bias:0"] if number in kernels else []
            group.attrs["weight_names"] = names
            for name in names:
                kernel = kernels[number]
                out = kernel[-2] if layers[number][0] == "Conv2DTranspose" else kernel[-1]
                shape = kernel if "kernel" in name else (out,)
                group[name] = random.normal(0, 0.2, shape).astype("float32")
    return path


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Calls a job in a folder with a generator and a discriminator; gives exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    save("generator.h5", *generator())
    save("other.h5", *generator(slope=0.25), seed=1)
    save("discriminator.h5", *discriminator(), seed=2)

    def call(name, *arguments):
        job = importlib.import_module(f"jobs.{name}")
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, list(arguments))
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_pair_becomes_a_run_that_jobs_take(called, tmp_path):
    given = ["generator.h5", "discriminator=discriminator.h5", "output=runs/mine", "data.source=drawn_faces"]
    code, out, err = called("import_keras", *given, "--json")
    assert code == 0, err
    assert missing(err, "[5] -> [32, 32, 3]", "2,827 parameters", "dcgan") == []
    assert err.splitlines()[-1].endswith(": runs/mine")
    assert json.loads(out)["model"] == {"architecture": "dcgan", "latent_size": 5, "width": 4, "dropout": 0.3}
    run = RunFolder.open(tmp_path / "runs" / "mine")
    assert run.about["imported"]["files"]["generator"]["name"] == "generator.h5"
    assert run.about["imported"]["range"] == "signed"
    assert str(tmp_path) not in json.dumps(run.about["imported"])
    assert (run.experiment.data.source, run.experiment.model.width) == ("drawn_faces", 4)
    assert find_target("runs/mine").checkpoint == CHECKPOINT
    assert [target.checkpoint for target in every_target("runs/mine")] == [CHECKPOINT]
    checkpoint = Checkpoint(run.folder / CHECKPOINT)
    assert checkpoint.fault() is None
    loaded = load_generator("runs/mine")
    assert (loaded.resolution, loaded.channels, loaded.images_seen) == (32, 3, 0)
    with h5py.File("generator.h5") as file:
        kernel = file["model_weights/l5/l5/kernel:0"][()]
    np.testing.assert_array_equal(loaded.network.ups[1].weight.numpy()[3, 2, 1, 0], kernel[1, 0, 2, 3])


def test_other_layers_become_data_in_a_checkpoint(called, tmp_path):
    code, _, err = called("import_keras", "other.h5", "output=other")
    assert code == 0, err
    config = json.loads((tmp_path / "other" / CHECKPOINT / "generator" / "config.json").read_text())
    assert (config["architecture"], len(config["layers"])) == ("keras", 9)
    assert config["layers"][1] == {"kind": "activation", "function": "leaky_relu", "slope": 0.25, "limit": None}
    experiment = load_experiment(tmp_path / "other" / "experiment.yaml")
    assert experiment.model.layers == config["layers"]
    loaded = load_generator("other")
    network = build_generator(experiment.model, resolution=32, channels=3, seed=0)
    network.load_state_dict(loaded.network.state_dict())
    assert loaded.images(loaded.sample_latents(3, 0)).shape == (3, 32, 32, 3)
    code, _, err = called("export", "other", "given")
    assert code == 0, err
    assert load_generator("given").digest == loaded.digest


def test_the_same_import_again_changes_nothing(called, tmp_path):
    assert called("import_keras", "generator.h5", "output=mine")[0] == 0
    before = content(tmp_path)
    code, _, err = called("import_keras", "generator.h5", "output=mine")
    assert code == 0, err
    assert err.splitlines()[-1].endswith(": mine")
    for arguments in (["other.h5"], ["generator.h5", "data.limit=100"]):
        code, _, err = called("import_keras", *arguments, "output=mine")
        assert (code, err.splitlines()[-1].startswith("error: ")) == (2, True)
        assert f"{tmp_path / 'mine'}: " in err
    assert content(tmp_path) == before
    weights = tmp_path / "mine" / CHECKPOINT / "generator" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, err = called("import_keras", "generator.h5", "output=mine")
    assert code == 2
    assert "weights.safetensors: " in err


def test_a_dry_run_writes_nothing(called, tmp_path):
    before = content(tmp_path)
    code, _, err = called("import_keras", "generator.h5", "output=mine", "--dry-run")
    assert code == 0, err
    assert err.splitlines()[-1].endswith(": mine")
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "place", "facts"),
    [
        (["generator.h5"], "output", ["output=DIR"]),
        (["generator.h5", "output=x", "range=byte"], "range", ["auto", "signed", "unit", "byte"]),
        (["generator.h5", "output=x", "range=unit"], "generator.h5", ["range=unit", "tanh", "signed"]),
        (["nowhere.h5", "output=x"], "nowhere.h5", []),
        (["notes.txt", "output=x"], "notes.txt", ["HDF5", ".keras"]),
        (["lambda.h5", "output=x"], "lambda.h5", ["l1 (Lambda)", "Dense", "Reshape"]),
        (["causal.h5", "output=x"], "causal.h5", ["l7 (Conv2D)", "padding=causal", "same", "valid"]),
        (["lost.h5", "output=x"], "lost.h5", ["l3 (Conv2DTranspose)", "kernel"]),
        (["small.h5", "output=x"], "data.resolution", [28, 32, 64, 128, 256, 16]),
        (["discriminator.h5", "output=x"], "discriminator.h5", ["[32, 32, 3]", "latent"]),
        (["generator.h5", "output=x", "discriminator=generator.h5"], "generator.h5", ["[5]", "square images"]),
        (["generator.h5", "output=x", "model.width=8"], "model.width", [4]),
        (["generator.h5", "output=x", "outptu=y"], "outptu", []),
        (["generator.h5", "output=notes.txt"], "notes.txt", ["folder"]),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(called, tmp_path, arguments, place, facts):
    (tmp_path / "notes.txt").write_text("not a network")
    given, layers, kernels = generator()
    save("lambda.h5", given, [layers[0], ("Lambda", {"function": ["4wEAAAA=", None, None]}), *layers[2:]], kernels)
    save("causal.h5", given, [*layers[:7], ("Conv2D", layers[7][1] | {"padding": "causal"}), layers[8]], kernels)
    save("lost.h5", given, layers, {key: shape for key, shape in kernels.items() if key != 3})
    save("small.h5", given, [*layers[:5], *layers[7:]], {0: (5, 256), 3: (4, 4, 4, 4), 5: (8, 8, 4, 3)})
    before = content(tmp_path)
    code, out, err = called("import_keras", *arguments)
    assert (code, out) == (2, ""), err
    assert err.splitlines()[-1].startswith("error: ")
    assert missing(err.splitlines()[-1], f"{place}:", *facts) == []
    assert "Traceback" not in err
    assert content(tmp_path) == before
    assert not (tmp_path / "x").exists()


def test_help_lists_its_own_keys(called):
    code, out, _ = called("import_keras", "--help")
    assert code == 0
    assert "python -m jobs.import_keras FILE output=DIR" in out
    assert "\noutput=  " in out
    assert "range=auto" in out
    assert max(map(len, out.splitlines())) <= 110


def test_a_training_begins_with_it_or_says_why_not(called, tmp_path):
    for name in ("generator", "other"):
        assert called("import_keras", f"{name}.h5", f"output=runs/{name}")[0] == 0
    (tmp_path / "mine.yaml").write_text("data: {source: drawn_faces, resolution: 32, limit: 100}\n")
    for name, told in (("generator", "dcgan"), ("other", "keras")):
        code, _, err = called("train", "mine.yaml", f"training.start_from=runs/{name}", "--dry-run")
        assert code == 0, err
        (start,) = (line for line in err.splitlines() if line.startswith("Start:"))
        assert missing(start, f"runs/{name}", told, 5, "new discriminator") == []
        assert "Generator: 2,827 parameters" in err
    space = 'search.space={"model.width": {"choice": [4, 8]}}'
    for job, start, more, facts in [
        ("train", "runs/nowhere", [], ["training.start_from"]),
        ("train", "mine.yaml", [], ["training.start_from"]),
        ("train", "runs/other", ["model.width=9"], ["model.width: 9", "training.start_from", 128]),
        ("train", "runs/other", ["data.resolution=64"], ["32x32", "3 channels", "data.resolution"]),
        ("search", "runs/other", [space], ["search.space: model.width", "training.start_from"]),
    ]:
        code, _, err = called(job, "mine.yaml", f"training.start_from={start}", *more, "--dry-run")
        assert code == 2, err
        assert missing(err, *facts) == []
    assert not open_folder("runs/mine").exists()
