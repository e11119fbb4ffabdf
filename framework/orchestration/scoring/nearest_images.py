"""The samples that are closest to training images, each next to its training image: shows memorisation."""

from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.data import PackedStore
from framework.images import labelled_sheet, png_bytes
from framework.orchestration.context import RunContext

_PAIRS_A_ROW = 4
_LINE_CHARACTERS = 18  # of a caption under a tile of 128 pixels
SHEET, DOCUMENT = "nearest.png", "nearest.json"


def write_nearest(context: RunContext, target: CheckpointRef, score: dict[str, Any]) -> None:
    """Writes nearest.png and nearest.json into the run's artifacts, unless they already show this score."""
    artifacts, images = context.run.artifacts, context.images
    names = training_names(images)
    document = {
        "checkpoint": target.checkpoint,
        "score": {"metric": score["metric"], "value": score["value"], "protocol": score["protocol"]},
        "copy_share": score["detail"]["copy_share"],
        "pairs": [{**pair, "name": names[pair["training"]]} for pair in score["detail"]["closest"]],
    }
    if artifacts.exists(DOCUMENT) and artifacts.exists(SHEET) and artifacts.read_json(DOCUMENT) == document:
        return
    generator, seed = load_generator(target.location), score["protocol"]["fake"]["seed"]
    tiles, captions = [], []
    for pair in document["pairs"]:
        latent = generator.sample_latents(1, seed, start=pair["sample"])
        tiles += [generator.images(latent)[0], images.images[images.training_indices[pair["training"]]]]
        captions += [f"sample {pair['sample'] + 1:,}\ndistance {pair['distance']:.3g}", _two_lines(pair["name"])]
    title = (
        f"The {len(document['pairs'])} of {score['protocol']['fake']['count']:,} samples that are nearest to a "
        f"training image, each with that image on its right. Compared with a held-out image, the sample is nearer to "
        f"training in {100 * score['value']:.0f}% of pairs: 50% is as near as new images are, near 100% means copies."
    )
    picture = labelled_sheet(np.stack(tiles), captions, columns=2 * _PAIRS_A_ROW, title=title)
    artifacts.write_bytes(SHEET, png_bytes(picture))
    artifacts.write_json(DOCUMENT, document)


def _two_lines(name: str) -> str:
    r"""A file name as a caption; a name that is wider than a tile is broken in the middle.

    >>> _two_lines("face_01.png"), _two_lines("26_0_2_20170104020946389.jpg")
    ('face_01.png', '26_0_2_2017010\n4020946389.jpg')
    """
    half = -(-len(name) // 2)
    return name if len(name) <= _LINE_CHARACTERS else f"{name[:half]}\n{name[half:]}"


def training_names(images: PackedStore) -> list[str]:
    """File names of the training images, without folders, by their number."""
    return [images.names[index].rpartition("/")[2] for index in images.training_indices]
