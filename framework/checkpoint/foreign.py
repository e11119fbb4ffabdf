"""The user's own generators: a torch module or another object, passed in or named by a function of the user.

An entry, `package.module:function`, runs the user's code: its module is imported (also from the current directory) and
its function is called without arguments. The function returns one of these two objects, both with `latent_size`:

    a torch.nn.Module   latents [n, z] float32 -> images [n, c, h, w] in [-1, 1], through which gradients flow
    any other object    images(latents [n, z] float32) -> [n, h, w, c] uint8

c is 1 or 3, h equals w, and the image of a latent depends on that latent only. This is checked with a few latents. The
digest identifies a generator: the sha256 of a module's state (weights and buffers, sorted by name), or of 16 images if
there is no state. If the object has a text attribute `digest`, the sha256 of that text is used instead.
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
from framework.config.code import ENTRY, refuse_unless_allowed
from framework.errors import CheckpointError, ConfigError, LatentscapeError
from framework.images import to_pixels
from framework.models import sample_latents
from framework.models.arithmetic.exact import exact

_TRIED, _AGAIN = 16, 8  # number of latents to check, and of those that are drawn a second time
_APART_LEVELS = 0.25  # mean difference of two images of one latent; rounding causes a thousandth of it, noise far more
_FAR, _FAR_SHARE = 1.5, 0.05  # networks without a tanh exceed 1 in a few pixels; another pixel range does in most

Draw = Callable[[np.ndarray], np.ndarray]
"""Latents [n,z] float32 -> images [n,h,w,c] uint8, checked."""


@functools.lru_cache(maxsize=2)
def open_entry(entry: str, device: str | torch.device = "cpu") -> LoadedGenerator:
    """The generator that the user's function returns; the function is called once per process.

    Args:
        entry: `package.module:function`.
        device: The device on which a module computes.

    Raises:
        ConfigError: The user has not allowed this code, or the module or the function does not exist.
        CheckpointError: The function raises an exception, or does not return a generator.
    """
    place = f"model.entry: {entry}"
    function = function_of(entry, key="model.entry")
    with user_code(f"{place}: the function"):
        returned = function()
    return as_generator(returned, device, place=place, source=f"{ENTRY}{entry}")


def as_generator(
    made: object, device: str | torch.device = "cpu", *, place: str = "", source: str = ""
) -> LoadedGenerator:
    """Wraps a torch module or another object as a generator, like those of `load_generator`; it is not copied.

    Args:
        made: The object, as described above. A module is moved to the device, set to evaluation mode and frozen.
        device: The device on which a module computes.
        place: The name of the object in error messages.
        source: The name of the object in results.

    Raises:
        CheckpointError: The object is not a valid generator.
    """
    if isinstance(made, LoadedGenerator):
        return made
    place = place or type(made).__name__
    size = getattr(made, "latent_size", None)
    if not isinstance(made, nn.Module) and not callable(getattr(made, "images", None)):
        allowed = "a torch.nn.Module or an object with images(latents), with latent_size"
        raise CheckpointError(f"{place}: returned {type(made).__name__}; it must be {allowed}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        name = type(made).__name__
        raise CheckpointError(f"{place}: {name}.latent_size must be a whole number above 0, not {size!r}")
    draw: Draw = functools.partial(_from_object, made, place=place)
    if isinstance(made, nn.Module):
        made.to(device).eval().requires_grad_(False)
        draw = functools.partial(_from_module, made, device=device, place=place)
        _check_gradient(made, size, device=device, place=place)
    # One thread, as in tasks: an object's digest depends on the last bits of its images, which depend on the threads.
    with contextlib.nullcontext() if isinstance(made, nn.Module) else _one_thread():
        images = _checked_images(draw, size, place=place)
    config = {"latent_size": size, "resolution": images.shape[1], "channels": images.shape[3]}
    more = {"config": config, "digest": _digest(made, images), "source": source or place, "device": device}
    return ForeignModule(made, **more) if isinstance(made, nn.Module) else ForeignObject(draw, **more)


class ForeignModule(LoadedGenerator):
    """A network of the user; it receives float32 latents, whatever it computes in."""

    def _filling(self) -> Tensor:
        """Random latents, because a foreign network may fail on zeros."""
        return torch.from_numpy(sample_latents(BLOCK_IMAGES, self.latent_size, seed=0)).to(self.device)


class ForeignObject(ForeignModule):
    """An object of the user with a function `images`, through which no gradients flow.

    Args:
        draw: Makes images of latents.
        about: The other arguments of LoadedGenerator.
    """

    def __init__(self, draw: Draw, **about: Any) -> None:
        super().__init__(None, **about)
        self._draw = draw

    def _filling(self) -> Tensor:
        return super()._filling().cpu()

    def _pixels(self, block: Tensor) -> Tensor:
        return torch.from_numpy(np.array(self._draw(block.numpy())))  # a copy, because the array may be read-only


def code_of(entry: str) -> Path | None:
    """The file or folder of an entry's top-level module, for sending to nodes; None if it is installed or missing."""
    _add_current_directory()
    spec = importlib.util.find_spec(entry.partition(":")[0].partition(".")[0])
    locations = [] if spec is None else [*(spec.submodule_search_locations or [spec.origin])]
    if not locations or locations[0] is None or not Path(locations[0]).exists():
        return None
    path = Path(locations[0]).resolve()
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    return None if any(path.is_relative_to(root) for root in installed) else path


def function_of(entry: str, *, key: str) -> Callable[..., object]:
    """The user's function that a key names; nothing else imports the user's code.

    Raises:
        ConfigError: The user has not allowed this code, or the module or the function does not exist.
    """
    refuse_unless_allowed(entry, key=key)
    place = f"{key}: {entry}"
    module_name, _, name = entry.partition(":")
    _add_current_directory()
    try:
        with user_code(f"{place}: importing {module_name}", but=(ModuleNotFoundError,)):
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{module_name}.".startswith(f"{fault.name}."):
            raise CheckpointError(f"{place}: importing {module_name} raised {_fault_line(fault)}") from fault
        raise ConfigError(f"{place}: module {fault.name} is neither in {Path.cwd()} nor installed") from None
    if not callable(getattr(module, name, None)):
        what = f"{name} is not a function" if hasattr(module, name) else f"{module_name} has no function {name}"
        raise ConfigError(f"{place}: {what} ({getattr(module, '__file__', None)})")
    return getattr(module, name)


def _add_current_directory() -> None:
    """Makes modules in the current directory importable, as `python -m` does; scripts and test runners do not."""
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))  # stays there, because a module may import others when it is called
    importlib.invalidate_caches()


@contextlib.contextmanager
def user_code(what: str, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns any exception of the user's code into a CheckpointError of one line; those of `but` pass unchanged."""
    try:
        yield
    except (LatentscapeError, *but):
        raise
    except (Exception, SystemExit) as fault:
        raise CheckpointError(f"{what} raised {_fault_line(fault)}") from fault


def _fault_line(fault: BaseException) -> str:
    """The type and text of an exception, and the innermost line of the user's code, as one line."""
    text = " ".join(str(fault).split())[:200]
    packages = (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), __file__, "<")
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if not frame.filename.startswith(packages)]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(fault).__name__}{f': {text}' if text else ''}{where}"


def _from_module(network: nn.Module, latents: np.ndarray, *, device: str | torch.device, place: str) -> np.ndarray:
    with torch.no_grad(), exact(), user_code(f"{place}: the module, given latents {list(latents.shape)},"):
        images = network(torch.from_numpy(latents).to(device))
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise CheckpointError(f"{place}: returned {kind}; it must return a tensor of floating point numbers")
    n = len(latents)
    shape = list(images.shape)
    if len(shape) != 4 or shape[0] != n or shape[1] not in (1, 3) or shape[2] != shape[3]:
        raise CheckpointError(f"{place}: returned images {shape}; they must be [{n}, 1 or 3, h, w] and square")
    if not bool(torch.isfinite(images).all()):
        raise CheckpointError(f"{place}: returned values that are not finite")
    lowest, highest = float(images.min()), float(images.max())
    if lowest >= 0 or float((images.abs() > _FAR).float().mean()) > _FAR_SHARE:
        values = f"values from {lowest:.3g} to {highest:.3g}"
        raise CheckpointError(
            f"{place}: returned {values}; they must be from -1 (black) to 1 (for images x in [0, 1], return 2 * x - 1)"
        )
    return to_pixels(images)


def _from_object(made: Any, latents: np.ndarray, *, place: str) -> np.ndarray:
    with user_code(f"{place}: images, given latents {list(latents.shape)},"):
        images = np.asarray(made.images(latents))
    n = len(latents)
    shape = list(images.shape)
    if images.dtype != np.uint8 or len(shape) != 4 or shape[0] != n or shape[1] != shape[2] or shape[3] not in (1, 3):
        allowed = f"uint8 [{n}, h, w, 1 or 3] and square"
        raise CheckpointError(f"{place}: images returned {images.dtype} {shape}; it must be {allowed}")
    return images


def _check_gradient(network: nn.Module, size: int, *, device: str | torch.device, place: str) -> None:
    latents = torch.from_numpy(sample_latents(2, size, seed=0)).to(device).requires_grad_()
    with torch.enable_grad(), user_code(f"{place}: the module, given latents {list(latents.shape)},"):
        images = network(latents)
    if isinstance(images, Tensor) and not images.requires_grad:
        raise CheckpointError(
            f"{place}: no gradient flows from the module's images to its latents (does it use torch.no_grad?); if that "
            "is intended, return an object with images(latents) instead"
        )


def _checked_images(draw: Draw, size: int, *, place: str) -> np.ndarray:
    """The images of 16 latents; some are drawn again in another batch, to check that they stay the same."""
    latents = sample_latents(_TRIED + _AGAIN, size, seed=0)
    images = draw(latents[:_TRIED])
    again = draw(np.concatenate([latents[_TRIED:], latents[:_AGAIN]]))[_AGAIN:]
    apart = float(np.abs(again.astype(np.int16) - images[:_AGAIN]).mean())
    if apart > _APART_LEVELS:
        raise CheckpointError(
            f"{place}: the image of a latent changes between calls or with the other latents of a batch (by "
            f"{apart:.2g} of 255 levels); use fixed noise and no batch statistics"
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
    digest = hashlib.sha256()
    state = made.state_dict() if isinstance(made, nn.Module) else {}
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    for name in sorted(tensors):
        plain = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {list(plain.shape)}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    if not tensors:
        digest.update(f"{list(images.shape)}".encode() + np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()
