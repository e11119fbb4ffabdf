"""Reads models saved by Keras without Keras: HDF5 (Keras 2 and 3) and `.keras`. No code from a file is executed."""

from framework.models.keras_import.model import KerasModel, read_model
from framework.models.keras_import.pair import Imported, RangeName, import_discriminator, import_generator

__all__ = ["Imported", "KerasModel", "RangeName", "import_discriminator", "import_generator", "read_model"]
