"""Generators of the user's own: a torch module or a function, given as an object or named as `package.module:function`.

An entry runs code of the user's: its module is imported, from the current directory too, and its function called
without arguments. It gives either of two things, both with `latent_size`:

    a torch.nn.Module   latents [n, z] float32 -> images [n, c, h, w] in [-1, 1], which gradients go through
    any other object    images(latents [n, z] float32) -> [n, h, w, c] uint8

c is 1 or 3, h is w, and a latent's image depends on nothing but the latent. Both are tried on a few latents. What a
generator is known by, its digest, is the sha256 of a module's state (weights and buffers, in the order of their names),
of 16 images where there is no state; `digest`, a text of its own, goes before.
"""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framework.checkpoint.loaded import BLOCK_IMAGES, LoadedGenerator
from framework.errors import CheckpointError, ConfigError, LatentscapeError
from framework.images import to_pixels
from framework.models import sample_latents
from framework.models.arithmetic.exact import exact

ENTRY = "entry:"
_TRIED, _AGAIN = 16, 8  # latents that are looked at, and those of them that are asked for a second time
_APART_LEVELS = 0.25  # mean difference of two images of one latent: rounding gives a thousandth of that, noise far more
_FAR, _FAR_SHARE = 1.5, 0.05  # networks without a tanh go beyond 1 here and there; other ranges all over

Draw = Callable[[np.ndarray], np.ndarray]
"""Latents [n,z] float32 -> images [n,h,w,c] uint8, checked."""


def entry_of(location: str | Path) -> str | None:
    """The `package.module:function` that a location names; None where it is a place.

    >>> entry_of("entry:mine.faces:generator"), entry_of("runs/faces")
    ('mine.faces:generator', None)
    """
    return str(location).removeprefix(ENTRY) if str(location).startswith(ENTRY) else None


@functools.lru_cache(maxsize=2)
def open_entry(entry: str, device: str | torch.device = "cpu") -> LoadedGenerator:
    """The generator that a function of the user's gives; called once a process.

    Args:
        entry: `package.module:function`.
        device: Where a module is to compute.

    Raises:
        ConfigError: There is no such module or function.
        CheckpointError: It raises, or what it gives is no generator; one line that names model.entry.
    """
    place = f"model.entry: {entry}"
    function = _imported(entry, place)
    with _blamed(f"{place}: the function"):
        made = function()
    return as_generator(made, device, place=place, source=f"{ENTRY}{entry}")


def as_generator(
    made: object, device: str | torch.device = "cpu", *, place: str = "", source: str = ""
) -> LoadedGenerator:
    """What `load_generator` gives, of a torch module or another object; it is used as it is, not copied.

    Args:
        made: See above. A module is moved to the device and set to evaluation, its weights are frozen.
        device: Where a module is to compute.
        place: What faults call it.
        source: What results call it.

    Raises:
        CheckpointError: It is no generator.
    """
    if isinstance(made, LoadedGenerator):
        return made
    place = place or type(made).__name__
    size = getattr(made, "latent_size", None)
    if not isinstance(made, nn.Module) and not callable(getattr(made, "images", None)):
        wanted = "a torch.nn.Module or an object with images(latents), with latent_size"
        raise CheckpointError(f"{place}: gives {type(made).__name__}; wants {wanted}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise CheckpointError(f"{place}: {type(made).__name__}.latent_size wants a whole number above 0, not {size!r}")
    draw: Draw = functools.partial(_from_object, made, place=place)
    if isinstance(made, nn.Module):
        made.to(device).eval().requires_grad_(False)
        draw = functools.partial(_from_module, made, device=device, place=place)
        _check_gradient(made, size, device=device, place=place)
    # As tasks compute: the digest of an object hangs on its images' last bits, and these on the number of threads.
    with contextlib.nullcontext() if isinstance(made, nn.Module) else _one_thread():
        images = _tried(draw, size, place=place)
    config = {"latent_size": size, "resolution": images.shape[1], "channels": images.shape[3]}
    more = {"config": config, "digest": _digest(made, images), "source": source or place, "device": device}
    return ForeignModule(made, **more) if isinstance(made, nn.Module) else ForeignObject(draw, **more)


class ForeignModule(LoadedGenerator):
    """A network of somebody's; takes float32, whatever it computes in."""

    def _filling(self) -> Tensor:
        """Latents as any others: nobody knows what a foreign network makes of zeros."""
        return torch.from_numpy(self.sample_latents(BLOCK_IMAGES, 0)).to(self.device)


class ForeignObject(ForeignModule):
    """A function of somebody's; no gradient goes through it.

    Args:
        draw: Makes the images.
        about: See LoadedGenerator.
    """

    def __init__(self, draw: Draw, **about: Any) -> None:
        super().__init__(None, **about)
        self._draw = draw

    def _filling(self) -> Tensor:
        return super()._filling().cpu()

    def _pixels(self, block: Tensor) -> Tensor:
        return torch.from_numpy(np.array(self._draw(block.numpy())))  # a copy: theirs may be read-only


def code_of(entry: str) -> Path | None:
    """The file or folder of an entry's outermost module, for nodes to get; None where it is installed, or not there."""
    _see_current_directory()
    spec = importlib.util.find_spec(entry.partition(":")[0].partition(".")[0])
    found = [] if spec is None else [*(spec.submodule_search_locations or [spec.origin])]
    if not found or found[0] is None or not Path(found[0]).exists():
        return None
    place = Path(found[0]).resolve()
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    return None if any(place.is_relative_to(root) for root in installed) else place


def function_of(entry: str, *, place: str) -> Callable[..., object]:
    """The user's function that a key other than model.entry names.

    Raises:
        ConfigError: There is no such module or function.
    """
    return _imported(entry, f"{place}: {entry}")


def _imported(entry: str, place: str) -> Callable[..., object]:
    module, _, name = entry.partition(":")
    _see_current_directory()
    try:
        with _blamed(f"{place}: importing {module}", but=(ModuleNotFoundError,)):
            found = importlib.import_module(module)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{module}.".startswith(f"{fault.name}."):
            raise CheckpointError(f"{place}: importing {module} raised {_told(fault)}") from fault
        raise ConfigError(f"{place}: there is no module {fault.name} in {Path.cwd()} or among the installed") from None
    if not callable(getattr(found, name, None)):
        what = f"{name} is no function" if hasattr(found, name) else f"{module} has no function {name}"
        raise ConfigError(f"{place}: {what} ({getattr(found, '__file__', None)})")
    return getattr(found, name)


def _see_current_directory() -> None:
    """Modules lie in the current directory too, as for `python -m`; scripts and test runners leave it out."""
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))  # for good: a module may import others when it is called
    importlib.invalidate_caches()


@contextlib.contextmanager
def _blamed(what: str, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns whatever foreign code raises into one line."""
    try:
        yield
    except (LatentscapeError, *but):
        raise
    except (Exception, SystemExit) as fault:
        raise CheckpointError(f"{what} raised {_told(fault)}") from fault


def _told(fault: BaseException) -> str:
    """Type, text and the innermost line that is no package's, in one line."""
    text = " ".join(str(fault).split())[:200]
    packages = (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), __file__, "<")
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if not frame.filename.startswith(packages)]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(fault).__name__}{f': {text}' if text else ''}{where}"


def _from_module(network: nn.Module, latents: np.ndarray, *, device: str | torch.device, place: str) -> np.ndarray:
    with torch.no_grad(), exact(), _blamed(f"{place}: the module, given latents {list(latents.shape)},"):
        images = network(torch.from_numpy(latents).to(device))
    if not isinstance(images, Tensor) or not images.is_floating_point():
        given = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise CheckpointError(f"{place}: gives {given}; wants a tensor of floating point numbers")
    n = len(latents)
    shape = list(images.shape)
    if len(shape) != 4 or shape[0] != n or shape[1] not in (1, 3) or shape[2] != shape[3]:
        raise CheckpointError(f"{place}: gives images {shape}; wants [{n}, 1 or 3, h, w], as high as wide")
    if not bool(torch.isfinite(images).all()):
        raise CheckpointError(f"{place}: gives values that are not finite")
    lowest, highest = float(images.min()), float(images.max())
    if lowest >= 0 or float((images.abs() > _FAR).float().mean()) > _FAR_SHARE:
        told = f"values from {lowest:.3g} to {highest:.3g}"
        raise CheckpointError(f"{place}: gives {told}; wants -1 (black) to 1 (of images in [0, 1]: 2 * x - 1)")
    return to_pixels(images)


def _from_object(made: Any, latents: np.ndarray, *, place: str) -> np.ndarray:
    with _blamed(f"{place}: images, given latents {list(latents.shape)},"):
        images = np.asarray(made.images(latents))
    n = len(latents)
    shape = list(images.shape)
    if images.dtype != np.uint8 or len(shape) != 4 or shape[0] != n or shape[1] != shape[2] or shape[3] not in (1, 3):
        wanted = f"uint8 [{n}, h, w, 1 or 3], as high as wide"
        raise CheckpointError(f"{place}: images gives {images.dtype} {shape}; wants {wanted}")
    return images


def _check_gradient(network: nn.Module, size: int, *, device: str | torch.device, place: str) -> None:
    latents = torch.from_numpy(sample_latents(2, size, seed=0)).to(device).requires_grad_()
    with torch.enable_grad(), _blamed(f"{place}: the module, given latents {list(latents.shape)},"):
        images = network(latents)
    if isinstance(images, Tensor) and not images.requires_grad:
        raise CheckpointError(
            f"{place}: no gradient goes from the module's images to its latents (torch.no_grad within it?); where none "
            "is to go, give an object with images(latents)"
        )


def _tried(draw: Draw, size: int, *, place: str) -> np.ndarray:
    """The images of 16 latents, after a second look at some of them among others and in other places."""
    latents = sample_latents(_TRIED + _AGAIN, size, seed=0)
    images = draw(latents[:_TRIED])
    again = draw(np.concatenate([latents[_TRIED:], latents[:_AGAIN]]))[_AGAIN:]
    apart = float(np.abs(again.astype(np.int16) - images[:_AGAIN]).mean())
    if apart > _APART_LEVELS:
        raise CheckpointError(
            f"{place}: gives another image of the same latent beside other latents or the next time (they differ by "
            f"{apart:.2g} of 255 levels); keep its noise fixed, and statistics of batches out of it"
        )
    return images


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _digest(made: Any, images: np.ndarray) -> str:
    own = getattr(made, "digest", None)
    if isinstance(own, str) and own:
        return hashlib.sha256(own.encode()).hexdigest()
    found = hashlib.sha256()
    state = made.state_dict() if isinstance(made, nn.Module) else {}
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    for name in sorted(tensors):
        plain = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {plain.dtype} {list(plain.shape)}".encode())
        found.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    if not tensors:
        found.update(f"{list(images.shape)}".encode() + np.ascontiguousarray(images).tobytes())
    return found.hexdigest()
