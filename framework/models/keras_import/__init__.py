"""Models that Keras saved, read without Keras: HDF5 (Keras 2 and 3) and `.keras`. Nothing in a file is ever run."""

from framework.models.keras_import.model import KerasModel, read_model
from framework.models.keras_import.pair import Imported, RangeName, import_discriminator, import_generator

__all__ = ["Imported", "KerasModel", "RangeName", "import_discriminator", "import_generator", "read_model"]
