"""Reads a Keras file: its layers, converted to ours, and their arrays in Keras's layout."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.errors import CheckpointError
from framework.models.architectures import described_layers as plain
from framework.models.keras_import.archive import Archive, open_archive
from framework.models.keras_import.chain import Entry, chain_of
from framework.models.keras_import.layers import RefusedError, layers_from

# A .keras file stores weights in groups that are named after the class and numbered.
_GROUPS = {
    "Dense": "dense",
    "Conv2D": "conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "BatchNormalization": "batch_normalization",
}


@dataclass(frozen=True)
class KerasModel:
    """The content of a file.

    Attributes:
        form: `HDF5` or `.keras`.
        version: The version of Keras that saved it.
        input_shape: The shape of its input, without the batch.
        output_shape: The shape of its output, without the batch.
        layers: The layers as descriptions of ours.
        arrays: For each layer `kernel`, `bias`, `gamma`, … in Keras's layout.
    """

    place: str
    form: str
    version: str
    input_shape: plain.Shape
    output_shape: plain.Shape
    layers: list[plain.Layer]
    arrays: list[dict[str, np.ndarray]]

    @property
    def numbers(self) -> int:
        """The number of parameters in all arrays."""
        return sum(array.size for arrays in self.arrays for array in arrays.values())


def read_model(path: str | Path, *, guarded: bool = True) -> KerasModel:
    """Reads a sequential model, or a functional one that is a chain of layers.

    Args:
        path: A file written by `model.save`.
        guarded: Whether a separate process reads the file first, which takes a third of a second; a damaged file can
            make the reading process hang.

    Raises:
        CheckpointError: The file is damaged or not supported; the message names the file, the layer and the reason.
    """
    with open_archive(path, guarded=guarded) as archive:
        try:
            input_shape, entries = chain_of(archive.config)
        except RefusedError as refusal:
            raise CheckpointError(f"{archive.place}: {refusal}") from None
        layers: list[plain.Layer] = []
        arrays: list[dict[str, np.ndarray]] = []
        shape = input_shape
        for entry in entries:
            for layer in _read_layer(archive, entry, shape):
                after = _after(archive, entry, layer, shape)  # before the arrays, because it limits their sizes
                arrays.append(dict(_arrays(archive, entry, layer, shape)))
                layers.append(layer)
                shape = after
    return KerasModel(archive.place, archive.form, archive.version, input_shape, shape, layers, arrays)


def _read_layer(archive: Archive, entry: Entry, shape: plain.Shape) -> list[plain.Layer]:
    try:
        return layers_from(entry.kind, entry.config, shape)
    except RefusedError as refused:
        raise CheckpointError(f"{archive.place}: layer {entry.name} ({entry.kind}) {refused}") from None


def _after(archive: Archive, entry: Entry, layer: plain.Layer, shape: plain.Shape) -> plain.Shape:
    try:
        return plain.checked_after(layer, shape)
    except ValueError as fault:
        raise CheckpointError(f"{archive.place}: layer {entry.name} ({entry.kind}): {fault}") from None


def _arrays(
    archive: Archive, entry: Entry, layer: plain.Layer, input_shape: plain.Shape
) -> Iterator[tuple[str, np.ndarray]]:
    shapes = _array_shapes(layer, input_shape)
    if not shapes:
        return
    places = _named(archive, entry) if archive.form == "HDF5" else _numbered(archive, entry, list(shapes))
    for name, shape in shapes.items():
        what = f"layer {entry.name} ({entry.kind}): {name}"
        if name not in places:
            raise CheckpointError(f"{archive.place}: {what} is missing")
        yield name, archive.array(places[name], shape, what=what)


def _named(archive: Archive, entry: Entry) -> Mapping[str, str]:
    """Weight -> path in an HDF5 file, where the last part of the path is the weight's name."""
    names = archive.names(entry.name)
    return {name.rsplit("/", 1)[-1].partition(":")[0]: f"{entry.name}/{name}" for name in names}


def _numbered(archive: Archive, entry: Entry, weights: list[str]) -> Mapping[str, str]:
    """Weight -> path in a .keras file, where weights are numbered in Keras's order."""
    group = _GROUPS[entry.kind] + (f"_{entry.number}" if entry.number else "")
    place = f"layers/{group}/vars"
    named = archive.note(place, "name")
    if named is not None and named != entry.name:
        raise CheckpointError(f"{archive.place}: {place} belongs to layer {named}, not to {entry.name}")
    if archive.count(place) != len(weights):
        raise CheckpointError(
            f"{archive.place}: layer {entry.name} ({entry.kind}) has {archive.count(place)} arrays; it needs "
            f"{len(weights)}"
        )
    return {name: f"{place}/{index}" for index, name in enumerate(weights)}


def _array_shapes(layer: plain.Layer, input_shape: plain.Shape) -> dict[str, plain.Shape]:
    """Name -> shape of each array of a layer, in Keras's layout and order."""
    match layer:
        case plain.Dense():
            return {"kernel": (*input_shape, layer.units)} | ({"bias": (layer.units,)} if layer.bias else {})
        case plain.Convolution():
            kernel = (*layer.kernel, input_shape[-1], layer.filters)
        case plain.TransposedConvolution():
            kernel = (*layer.kernel, layer.filters, input_shape[-1])
        case plain.Normalisation():
            trained = [name for name, used in (("gamma", layer.scale), ("beta", layer.center)) if used]
            return dict.fromkeys([*trained, "moving_mean", "moving_variance"], (input_shape[-1],))
        case _:
            return {}
    return {"kernel": kernel} | ({"bias": (layer.filters,)} if layer.bias else {})
