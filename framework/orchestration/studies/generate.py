"""Generates images into a folder, a .zip or a .npz, with a pool; what is there already is not generated again.

Image k is that of latent k, whatever the number of workers. A folder holds the PNG files themselves. A .zip or .npz is
put together at the end from the shards that lie in a hidden folder beside it until then.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framework.checkpoint import LoadedGenerator
from framework.images import png_bytes
from framework.models.arithmetic.blocks import SHARD_IMAGES, shards
from framework.orchestration.pool.tasks import TaskPool
from framework.orchestration.progress import Progress
from framework.orchestration.studies.generation_request import REQUEST, Output, Request, part_name
from framework.orchestration.studies.models import StudyModels
from framework.storage.local import new_file


def generate(
    generator: LoadedGenerator,
    models: StudyModels,
    pool: TaskPool,
    request: Request,
    output: Output,
    document: dict[str, Any],
    progress: Progress,
) -> int:
    """Generates the images that are missing.

    Args:
        generator: That of `models`, in this process.
        document: `Request.document`, which is written beside or among the images.

    Returns:
        How many images were generated; fewer than all if the job goes on after an interruption.

    Raises:
        StorageError: `output` cannot be written.
    """
    output.check(document)
    folder, name = output.request_place
    folder.write_json(name, document | {"count": max(output.known().get("count", 0), request.count)})
    missing = output.missing(request)
    work = [(models, _sent(request, *shard), output.kind) for shard in missing]
    done = progress.counter(f"images, by {SHARD_IMAGES * len(request.strengths)}")
    for shard, files in zip(missing, pool.map(_generate, work, name="generate", done=done), strict=True):
        if output.kind == "folder":
            output.folder.write_many(dict(zip(request.names(*shard), files, strict=True)))
        else:
            output.parts.write_bytes(part_name(*shard), files[0])
    if output.kind != "folder" and not output.folder.exists(output.name):
        progress.update(f"writing {output.name}")
        _put_together(request, output, document, generator)
    if output.kind != "folder":
        output.parts.delete()
    return len(request.strengths) * sum(stop - start for start, stop in missing)


@dataclass(frozen=True, eq=False)
class _Part:
    """The latents of one shard: given, or numbers `start` to `stop` of a seed."""

    request: Request
    start: int
    stop: int

    def latents(self, generator: LoadedGenerator) -> np.ndarray:
        """[n, z] float32, before they are moved."""
        if self.request.latents is not None:
            return self.request.latents[self.start : self.stop]
        return generator.sample_latents(self.stop - self.start, self.request.seed, start=self.start)


def _sent(request: Request, start: int, stop: int) -> _Part:
    """A part with no other latents than its own, because it is sent to a task."""
    if request.latents is None:
        return _Part(request, start, stop)
    own = dataclasses.replace(request, latents=request.latents[start:stop])
    return _Part(own, 0, stop - start)


def _generate(models: StudyModels, part: _Part, kind: str) -> list[bytes]:
    """In a task: the PNG files of a shard, or the shard of an archive as one file."""
    generator = models.open_generator()
    latents, direction = part.latents(generator), part.request.direction
    moved = [latents if direction is None else direction.moved(latents, each) for each in part.request.strengths]
    images = np.stack([generator.images(each) for each in moved], axis=1)  # [n, strengths, h, w, c]
    images = images.reshape(-1, *images.shape[2:])
    if kind == "npz":
        return [_npy(images)]
    files = [png_bytes(image) for image in images]
    if kind == "folder":
        return files
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number:06d}", data)
    return [stream.getvalue()]


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _put_together(request: Request, output: Output, document: dict[str, Any], generator: LoadedGenerator) -> None:
    """Writes the archive from its shards, one at a time; it appears when it is complete."""
    with new_file(Path(output.location)) as path, zipfile.ZipFile(path, "w") as archive:
        if output.kind == "zip":
            for shard, data in _parts(request, output):
                with zipfile.ZipFile(io.BytesIO(data)) as part:
                    for inside, name in zip(sorted(part.namelist()), request.names(*shard), strict=True):
                        archive.writestr(name, part.read(inside))
            archive.writestr(REQUEST, json.dumps(document, indent=2))
            return
        side, channels = generator.resolution, generator.channels
        images = (np.load(io.BytesIO(data)) for _, data in _parts(request, output))
        _write_array(archive, "arr_0", np.dtype("u1"), (request.images, side, side, channels), images)
        latents = (_Part(request, *shard).latents(generator) for shard in shards(request.count))
        _write_array(archive, "latents", np.dtype("<f4"), (request.count, generator.latent_size), latents)


def _write_array(
    archive: zipfile.ZipFile, name: str, kind: np.dtype, shape: tuple[int, ...], parts: Iterator[np.ndarray]
) -> None:
    """Adds an array of a .npz file that is never held whole."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, kind).tobytes())


def _parts(request: Request, output: Output) -> Iterator[tuple[tuple[int, int], bytes]]:
    for shard in shards(request.count):
        yield shard, output.parts.read_bytes(part_name(*shard))
