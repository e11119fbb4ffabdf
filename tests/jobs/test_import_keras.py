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
    assert "[5] -> [32, 32, 3], 2,827 parameters; becomes the notebooks' GAN (dcgan)" in err
    assert "Range: -1 to 1 (it ends in tanh)" in err
    assert err.splitlines()[-1] == "Imported: runs/mine"
    assert json.loads(out)["model"] == {"architecture": "dcgan", "latent_size": 5, "width": 4, "dropout": 0.3}
    run = RunFolder.open(tmp_path / "runs" / "mine")
    assert run.about["imported"]["files"]["generator"]["name"] == "generator.h5"
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
    assert "becomes 9 layers as data (keras)" in err
    config = json.loads((tmp_path / "other" / CHECKPOINT / "generator" / "config.json").read_text())
    assert config["architecture"] == "keras"
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
    assert (code, err.splitlines()[-1]) == (0, "Already imported: mine")
    for arguments, said in [
        (["other.h5"], "mine: is not empty and contains something else; import into"),
        (["generator.h5", "data.limit=100"], "mine: contains this import with different settings"),
    ]:
        code, _, err = called("import_keras", *arguments, "output=mine")
        assert (code, err.splitlines()[-1].startswith("error: ")) == (2, True)
        assert said in err
    assert content(tmp_path) == before
    weights = tmp_path / "mine" / CHECKPOINT / "generator" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, err = called("import_keras", "generator.h5", "output=mine")
    assert code == 2
    assert "weights.safetensors: is damaged" in err


def test_a_dry_run_writes_nothing(called, tmp_path):
    before = content(tmp_path)
    code, _, err = called("import_keras", "generator.h5", "output=mine", "--dry-run")
    assert (code, err.splitlines()[-1]) == (0, "Would write: mine")
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generator.h5"], "output: missing; name the folder of the run"),
        (["generator.h5", "output=x", "range=byte"], "range: must be auto, signed or unit, not 'byte'"),
        (["generator.h5", "output=x", "range=unit"], "generator.h5: range=unit, but it ends in tanh, which is signed"),
        (["nowhere.h5", "output=x"], "nowhere.h5: does not exist"),
        (["notes.txt", "output=x"], "notes.txt: is neither HDF5 nor .keras"),
        (["lambda.h5", "output=x"], "lambda.h5: layer l1 (Lambda) is not supported; supported: Dense, Reshape"),
        (["causal.h5", "output=x"], "causal.h5: layer l7 (Conv2D) has padding=causal; supported: same and valid"),
        (["lost.h5", "output=x"], "lost.h5: layer l3 (Conv2DTranspose): kernel is missing"),
        (["small.h5", "output=x"], "data.resolution: must be 28, 32, 64, 128 or 256, not 16"),
        (
            ["discriminator.h5", "output=x"],
            "discriminator.h5: the input is [32, 32, 3]; a generator's input is a latent",
        ),
        (
            ["generator.h5", "output=x", "discriminator=generator.h5"],
            "generator.h5: the input is [5]; it must be square images",
        ),
        (["generator.h5", "output=x", "model.width=8"], "model.width: is set by the import (4); remove it"),
        (["generator.h5", "output=x", "outptu=y"], "outptu: unknown key"),
        (["generator.h5", "output=notes.txt"], "notes.txt: is a file; import into a folder"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(called, tmp_path, arguments, said):
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
    assert said in err
    assert "Traceback" not in err
    assert content(tmp_path) == before
    assert not (tmp_path / "x").exists()


def test_help_lists_its_own_keys(called):
    code, out, _ = called("import_keras", "--help")
    assert code == 0
    assert "usage: python -m jobs.import_keras FILE output=DIR" in out
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
        assert f"Start: runs/{name} ({told}, latents of 5) with a new discriminator" in err
        assert "Generator: 2,827 parameters" in err
    space = 'search.space={"model.width": {"choice": [4, 8]}}'
    for job, start, more, said in [
        ("train", "runs/nowhere", [], "training.start_from: "),
        ("train", "mine.yaml", [], "training.start_from: "),
        ("train", "runs/other", ["model.width=9"], "model.width: 9 does not fit training.start_from, which has 128"),
        ("train", "runs/other", ["data.resolution=64"], "makes images of 32x32 with 3 channels, but data.resolution"),
        (
            "search",
            "runs/other",
            [space],
            "search.space: model.width cannot be searched, because training.start_from sets it",
        ),
    ]:
        code, _, err = called(job, "mine.yaml", f"training.start_from={start}", *more, "--dry-run")
        assert code == 2, err
        assert said in err
    assert not open_folder("runs/mine").exists()
