"""Finds the file of Inception's weights and reads it safely, without executing code from it."""

import hashlib
import io
import pickle
import warnings
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from framework.errors import EvaluationError
from framework.files import check_regular, read_file, user_path

FILE = "weights-inception-2015-12-05-6726825d.pth"
FILE_BYTES = 95_628_359
FILE_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
FILE_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
_CLASSES, _LAST_FEATURES = 1008, 2048  # torchvision's Inception has 1000 classes and is a different network

_UNREADABLE = (
    *(OSError, RuntimeError, ValueError, EOFError, KeyError, UserWarning),
    *(pickle.UnpicklingError, zipfile.BadZipFile, safetensors.SafetensorError),
)


def find_weights(configured: str | None) -> Path | None:
    """The file of weights: `evaluation.weights`, or else the published file in torch.hub's folder, or else None.

    Raises:
        EvaluationError: The configured file does not exist.
    """
    if configured is not None:
        path = _configured(configured)
        if path is None:
            raise EvaluationError(
                f"evaluation.weights: there is no file {configured} on this machine; {how_to_get_weights()}"
            )
        return path
    path = _hub_folder() / FILE
    return path if path.is_file() else None


def _configured(text: str) -> Path | None:
    try:
        path = user_path(text).resolve()
        check_regular(path)
    except OSError as fault:
        raise EvaluationError(f"evaluation.weights: {text}: cannot be read ({fault.strerror})") from None
    return path if path.is_file() else None


def how_to_get_weights() -> str:
    """Tells in one line how to get the weights."""
    return (
        f"FID needs {FILE} ({FILE_BYTES:,} bytes, sha256 {FILE_SHA256}): get it from {FILE_URL} "
        f"and put it into {_hub_folder()}, or name it as evaluation.weights=FILE; "
        "without it, evaluation.features=assessor computes the Fréchet distance of the assessor's features"
    )


def read_weights(path: str | Path, *, digest: str | None = None) -> tuple[dict[str, Tensor], str]:
    """A state dict of Inception-v3 and the sha256 of its file.

    Args:
        path: The file, a .pth or .safetensors.
        digest: The expected sha256, if any.

    Raises:
        EvaluationError: The file cannot be read, is damaged, holds another network, or has another sha256.
    """
    try:
        data = read_file(path)
    except OSError as fault:
        raise EvaluationError(f"{path}: cannot be read ({fault.strerror or fault})") from None
    actual = hashlib.sha256(data).hexdigest()
    try:
        weights = _parsed(data, safe=str(path).endswith(".safetensors"))
    except _UNREADABLE as fault:
        raise EvaluationError(
            f"{path}: is damaged or holds no weights ({_first_line(fault)}); "
            f"it has {len(data):,} bytes and sha256 {actual}, the published file {FILE_BYTES:,} bytes and {FILE_SHA256}"
        ) from None
    if (Path(path).name, len(data)) == (FILE, FILE_BYTES) and actual != FILE_SHA256:
        raise EvaluationError(f"{path}: is damaged (its sha256 is {actual}, that of the published file {FILE_SHA256})")
    if digest is not None and actual != digest:
        raise EvaluationError(f"{path}: has changed since the score began (sha256 {actual}, was {digest})")
    head = weights.get("fc.weight")
    if head is None or tuple(head.shape) != (_CLASSES, _LAST_FEATURES):
        raise EvaluationError(f"{path}: holds other weights than Inception of 2015-12-05; {how_to_get_weights()}")
    return weights, actual


def _parsed(data: bytes, *, safe: bool) -> dict[str, Tensor]:
    if safe:
        return safetensors.torch.load(data)
    buffer = io.BytesIO(data)
    # torch.load does not verify the checksums that torch.save wrote.
    if zipfile.is_zipfile(buffer) and (damaged := zipfile.ZipFile(buffer).testzip()):
        raise ValueError(f"its part {damaged} does not match its checksum")
    buffer.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # torch only warns of a TorchScript archive before it fails
        content = torch.load(buffer, map_location="cpu", weights_only=True)
    if not (isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())):
        raise ValueError("it is not a state dict")
    return content


def _first_line(fault: BaseException) -> str:
    if isinstance(fault, KeyError):  # raised by torch for bytes that are not a pickle
        return "it was not written by torch.save"
    return (str(fault).strip() or type(fault).__name__).split("\n", 1)[0].split(". ", 1)[0][:200]


def _hub_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"
