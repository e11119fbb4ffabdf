"""Generators of the user's own: whatever makes images of latents, as an object and as a function named by an entry."""

import itertools
import sys

import numpy as np
import pytest
import torch
from torch import nn

from framework import as_generator, load_generator
from framework.checkpoint.foreign import code_of, open_entry
from framework.config import LatentsConfig
from framework.errors import CheckpointError, ConfigError, LatentsError
from framework.latents.directions.discover import DiscoveryModels, discover
from framework.latents.projection.project import project
from framework.models import sample_latents

HEAD = """
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    latent_size = 8

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(8, 3 * 16 * 16)
        with torch.no_grad():
            self.dense.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(3))
            self.dense.bias.zero_()

    def forward(self, latents):
        return torch.tanh(self.dense(latents)).view(-1, 3, 16, 16)

class Drawn:
    latent_size = 3

    def images(self, latents):
        levels = np.clip(128 + 40 * latents, 0, 255).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, :], (len(latents), 16, 16, 3))

"""
MODULE = HEAD + "def generator():\n    return Net()\n"
OBJECT = HEAD + "def generator():\n    return Drawn()\n"
_numbers = itertools.count()


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """Writes a module into the current directory, which is not on sys.path; gives the name of its function."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])

    def write(text):
        name = f"mine_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        return f"{name}:generator"

    return write


def test_a_module_makes_the_images_that_its_weights_say(entry):
    generator = load_generator(f"entry:{entry(MODULE)}")
    assert (generator.latent_size, generator.resolution, generator.channels) == (8, 16, 3)
    weight = torch.empty(3 * 16 * 16, 8).normal_(std=0.3, generator=torch.Generator().manual_seed(3)).double().numpy()
    latents = generator.sample_latents(40, 5)
    expected = (np.tanh(latents @ weight.T) + 1) * 127.5
    pictures = generator.images(latents)
    assert pictures.dtype == np.uint8
    assert np.abs(pictures - expected.reshape(-1, 3, 16, 16).transpose(0, 2, 3, 1)).max() <= 0.501
    assert np.array_equal(generator.images(latents[32:]), pictures[32:])
    assert generator.images(latents[:0]).shape == (0, 16, 16, 3)
    with pytest.raises(LatentsError, match=r"must have the shape \[n, 8\]"):
        generator.images(latents[:, :7])


def test_an_object_makes_the_images_that_it_says(entry):
    generator = load_generator(f"entry:{entry(OBJECT)}")
    assert (generator.latent_size, generator.resolution, generator.channels) == (3, 16, 3)
    assert generator.network is None
    latents = generator.sample_latents(33, 1)
    levels = np.clip(128 + 40 * latents, 0, 255).astype(np.uint8)
    assert np.array_equal(generator.images(latents), np.broadcast_to(levels[:, None, None, :], (33, 16, 16, 3)))
    assert np.array_equal(generator.images(torch.from_numpy(latents)), generator.images(latents))


def test_a_generator_is_known_by_what_it_computes_with(entry):
    digests = [
        open_entry(entry(text)).digest
        for text in (
            MODULE,
            MODULE + "# another file\n",
            MODULE.replace("manual_seed(3)", "manual_seed(4)"),
            OBJECT,
            OBJECT + "# another file\n",
            OBJECT.replace("128 + 40", "128 + 41"),
            OBJECT + "Drawn.digest = 'v1'\n",
            OBJECT.replace("128 + 40", "128 + 41") + "Drawn.digest = 'v1'\n",
        )
    ]
    assert all(len(digest) == 64 for digest in digests)
    assert digests[0] == digests[1]
    assert digests[3] == digests[4]
    assert digests[6] == digests[7], "a digest of its own goes before"
    assert len(set(digests)) == 5


def test_a_function_is_called_once_a_process(entry):
    name = entry(MODULE + "calls = []\ndef generator():\n    calls.append(1)\n    return Net()\n")
    assert load_generator(f"entry:{name}") is load_generator(f"entry:{name}")
    assert sys.modules[name.partition(":")[0]].calls == [1]


def test_a_package_and_what_it_imports_beside_it(entry, tmp_path):
    entry("")
    (tmp_path / "faces_of_mine").mkdir()
    (tmp_path / "faces_of_mine" / "nets.py").write_text(HEAD)
    (tmp_path / "faces_of_mine" / "deep.py").write_text("from faces_of_mine.nets import Net\n")
    assert load_generator("entry:faces_of_mine.deep:Net").source == "entry:faces_of_mine.deep:Net"
    assert code_of("faces_of_mine.deep:Net") == tmp_path / "faces_of_mine"
    assert code_of("numpy:zeros") is None, "what is installed need not be sent"
    assert code_of("no_such_module:f") is None


def test_gradients_go_through_a_module_and_its_weights_stay(entry):
    generator = load_generator(f"entry:{entry(MODULE)}")
    latents = torch.from_numpy(generator.sample_latents(2, 0)).requires_grad_()
    generator.network(latents)[0].sum().backward()
    assert latents.grad[0].abs().max() > 0
    assert latents.grad[1].abs().max() == 0
    assert not any(parameter.requires_grad for parameter in generator.network.parameters())
    with torch.no_grad():
        target = generator.network(torch.from_numpy(generator.sample_latents(1, 7)))[0]
    found = project(generator.network, target, generator.sample_latents(32, 1), starts=2, steps=100, shell_weight=0.0)
    assert found.pixel_error < 2.0
    walks = discover(
        _tools(generator), LatentsConfig(directions={"method": "steerable", "edits": ["brightness"], "samples": 64}), {}
    )
    assert walks[0].latent_size == 8


@pytest.mark.parametrize("method", ["sefa", "ganspace", "ganalyze", "steerable"])
def test_methods_that_want_a_network_say_so(entry, method):
    generator = load_generator(f"entry:{entry(OBJECT)}")
    with pytest.raises(LatentsError, match=rf"latents\.directions\.method: {method} needs") as fault:
        discover(_tools(generator), LatentsConfig(directions={"method": method}), {"smiling": None})
    assert "\n" not in str(fault.value)


def _tools(generator):
    return DiscoveryModels(
        latent_size=generator.latent_size,
        digest=generator.digest,
        sample=lambda n, start: generator.sample_latents(n, 0, start=start),
        assess=None,
        generate=generator.network,
        network=generator.network,
        score=lambda attribute: lambda images: images.mean(dim=(1, 2, 3)),
        made_of={},
    )


def made(body):
    return f"{HEAD}def generator():\n    {body}\n"


def forward(body):
    return f"{HEAD}class Other(Net):\n    def forward(self, latents):\n        {body}\n\ngenerator = Other\n"


def images(body):
    return f"{HEAD}class Other(Drawn):\n    def images(self, latents):\n        {body}\n\ngenerator = Other\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_thing\n", r"importing mine_\d+ raised ModuleNotFoundError: No module named 'no_such_thing'"),
        ("1 / 0\n", r"importing mine_\d+ raised ZeroDivisionError: division by zero \(.*mine_\d+\.py, line 1\)"),
        ("raise SystemExit(3)\n", r"importing mine_\d+ raised SystemExit: 3"),
        ("generator = 3\n", r"generator is not a function"),
        ("", r"mine_\d+ has no function generator"),
        (made("return open('/nowhere/weights.pt')"), r"the function raised FileNotFoundError.*, line 2\d\)"),
        (made("return None"), r"returned NoneType; it must be a torch\.nn\.Module or an object with images\(latents\)"),
        (made("return nn.Linear(8, 8)"), r"Linear\.latent_size must be a whole number above 0, not None"),
        (made("Net.latent_size = 7; return Net()"), r"given latents \[2, 7\], raised RuntimeError"),
        (forward("return super().forward(latents)[:, :, :8]"), r"returned images \[16, 3, 8, 16\]; they must be \[16"),
        (forward("return super().forward(latents)[:, :2]"), r"returned images \[16, 2, 16, 16\]"),
        (forward("return super().forward(latents), None"), r"returned tuple; it must return a tensor"),
        (forward("return super().forward(latents).sigmoid()"), r"values from 0\.\d+ to 0\.\d+; they must be from -1"),
        (forward("return super().forward(latents) * 127.5"), r"values from -12\d to 12\d"),
        (forward("return super().forward(latents) / 0"), r"returned values that are not finite"),
        (forward("return super().forward(latents.detach())"), r"no gradient flows from the module's images"),
        (forward("x = super().forward(latents); return x + 0.1 * torch.randn_like(x)"), r"image of a latent changes"),
        (forward("x = super().forward(latents); return x - x.mean(dim=0)"), r"with the other latents of a batch"),
        (images("return super().images(latents) / 255"), r"images returned float64 \[16, 16, 16, 3\]; it must"),
        (images("return super().images(latents)[1:]"), r"images returned uint8 \[15, 16, 16, 3\]; it must be"),
        (images("return super().images(latents)[:, :, :8]"), r"images returned uint8 \[16, 16, 8, 3\]"),
        (images("raise OSError('no GPU')"), r"images, given latents \[16, 3\], raised OSError: no GPU \(.*line 2\d\)"),
    ],
)  # fmt: skip
def test_each_fault_is_one_line_that_names_the_entry(entry, text, said):
    name = entry(text)
    with pytest.raises((ConfigError, CheckpointError), match=rf"model\.entry: {name}: .*{said}") as fault:
        load_generator(f"entry:{name}")
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", ["nowhere_at_all:generator", "numpy.nowhere:generator"])
def test_a_module_that_is_not_there(entry, tmp_path, name):
    entry("")
    with pytest.raises(ConfigError, match=f"model.entry: {name}: module {name.partition(':')[0]} is neither in"):
        load_generator(f"entry:{name}")


@pytest.mark.long
def test_an_object_in_python_is_a_generator_too(make_run):
    class Grey(nn.Module):
        latent_size = 4

        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(4, 1, 32)

        def forward(self, latents):
            return torch.tanh(self.up(latents[:, :, None, None]))

    module = Grey().train()
    generator = as_generator(module)
    assert (generator.resolution, generator.channels, generator.source) == (32, 1, "Grey")
    assert not module.training
    assert as_generator(generator) is generator
    run = make_run()
    run.save("a", 7)
    ours = load_generator(run.folder.folder.location)
    again = as_generator(_Shown(ours))
    latents = sample_latents(3, 6, seed=0)
    assert np.array_equal(again.images(latents), ours.images(latents))
    with pytest.raises(CheckpointError, match=r"^int: returned int; it must be a torch\.nn\.Module or an object"):
        as_generator(3)


class _Shown:
    """One of ours as somebody's object."""

    def __init__(self, ours):
        self.latent_size, self.images = ours.latent_size, ours.images
