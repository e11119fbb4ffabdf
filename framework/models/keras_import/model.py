"""A whole file of Keras's: its layers as ours, one after the other, and their arrays as Keras keeps them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.errors import CheckpointError
from framework.models.architectures import described_layers as plain
from framework.models.keras_import.archive import Archive, open_archive
from framework.models.keras_import.chain import Entry, chain_of
from framework.models.keras_import.layers import RefusedError, layers_from

# The groups that a .keras file keeps weights in are named after the class, and counted.
_GROUPS = {
    "Dense": "dense",
    "Conv2D": "conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "BatchNormalization": "batch_normalization",
}


@dataclass(frozen=True)
class KerasModel:
    """What was read.

    Args:
        place: The file.
        form: `HDF5` or `.keras`.
        version: Of the Keras that saved it.
        given: The shape of its input.
        gives: The shape of its output.
        layers: Ours.
        arrays: For each layer `kernel`, `bias`, `gamma`, … in Keras's own layout.
    """

    place: str
    form: str
    version: str
    given: plain.Shape
    gives: plain.Shape
    layers: list[plain.Layer]
    arrays: list[dict[str, np.ndarray]]

    @property
    def numbers(self) -> int:
        """How many numbers its arrays hold."""
        return sum(array.size for arrays in self.arrays for array in arrays.values())


def read_model(path: str | Path, *, guarded: bool = True) -> KerasModel:
    """Reads a sequential model or a chain of layers.

    Args:
        path: What `model.save` wrote.
        guarded: Whether a process of its own reads the file first, which takes a third of a second: damaged ones can
            hold up the process that reads them for ever.

    Raises:
        CheckpointError: One line that names file, layer and what is taken.
    """
    with open_archive(path, guarded=guarded) as archive:
        try:
            given, entries = chain_of(archive.config)
        except RefusedError as refusal:
            raise CheckpointError(f"{archive.place}: {refusal}") from None
        layers: list[plain.Layer] = []
        arrays: list[dict[str, np.ndarray]] = []
        shape = given
        for entry in entries:
            made = _read_layer(archive, entry, shape)
            for layer in made:
                after = _after(archive, entry, layer, shape)  # first, for it bounds the sizes of the arrays
                arrays.append(dict(_arrays(archive, entry, layer, shape)))
                layers.append(layer)
                shape = after
    return KerasModel(archive.place, archive.form, archive.version, given, shape, layers, arrays)


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


def _arrays(archive: Archive, entry: Entry, layer: plain.Layer, given: plain.Shape) -> Iterator[tuple[str, np.ndarray]]:
    wanted = _wanted(layer, given)
    if not wanted:
        return
    places = _named(archive, entry) if archive.form == "HDF5" else _counted(archive, entry, list(wanted))
    for name, shape in wanted.items():
        what = f"layer {entry.name} ({entry.kind}): {name}"
        if name not in places:
            raise CheckpointError(f"{archive.place}: {what} is missing")
        yield name, archive.array(places[name], shape, what=what)


def _named(archive: Archive, entry: Entry) -> Mapping[str, str]:
    """Weight -> its path, in HDF5: the last part of each name says what it is."""
    names = archive.names(entry.name)
    return {name.rsplit("/", 1)[-1].partition(":")[0]: f"{entry.name}/{name}" for name in names}


def _counted(archive: Archive, entry: Entry, wanted: list[str]) -> Mapping[str, str]:
    """Weight -> its path, in .keras: they are numbered in Keras's order."""
    group = _GROUPS[entry.kind] + (f"_{entry.number}" if entry.number else "")
    place = f"layers/{group}/vars"
    named = archive.note(place, "name")
    if named is not None and named != entry.name:
        raise CheckpointError(f"{archive.place}: {place} is of layer {named}, not of {entry.name}")
    if archive.count(place) != len(wanted):
        raise CheckpointError(
            f"{archive.place}: layer {entry.name} ({entry.kind}) has {archive.count(place)} arrays; wants {len(wanted)}"
        )
    return {name: f"{place}/{index}" for index, name in enumerate(wanted)}


def _wanted(layer: plain.Layer, given: plain.Shape) -> dict[str, plain.Shape]:
    """Name -> shape of each array of a layer, in Keras's layout and order."""
    match layer:
        case plain.Dense():
            return {"kernel": (*given, layer.units)} | ({"bias": (layer.units,)} if layer.bias else {})
        case plain.Convolution():
            kernel = (*layer.kernel, given[-1], layer.filters)
        case plain.TransposedConvolution():
            kernel = (*layer.kernel, layer.filters, given[-1])
        case plain.Normalisation():
            own = [name for name, there in (("gamma", layer.scale), ("beta", layer.center)) if there]
            return dict.fromkeys([*own, "moving_mean", "moving_variance"], (given[-1],))
        case _:
            return {}
    return {"kernel": kernel} | ({"bias": (layer.filters,)} if layer.bias else {})
