"""Images a second of latent studies' rendering on Ray, beside the bare generator in the same batch.

    python -m benchmarks.rendering [CHECKPOINT] [--rounds 5] [--images 16384]

Bare is a loop over the network in blocks of 32 under inference mode, one thread, that ends in the network's float
images. Ours samples latents, renders them to bytes and sends them back, a Ray task a shard of 256, one task at a time:
the same core for both, and all of what a study pays for in between. Interleaved, a checkpoint's
generator, or an untrained one of the default width at 32 px.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.loaded import BLOCK_IMAGES
from framework.checkpoint.saved import generator_files
from framework.config import ModelConfig
from framework.models import build_generator
from framework.orchestration.cluster.connect import connect
from framework.orchestration.pool.process_cache import loaded_generator
from framework.orchestration.pool.tasks import SHARD_IMAGES, TaskPool, TaskResources

SEED, RESOLUTION = 0, 32


def render(checkpoint: str, digest: str, start: int, stop: int) -> np.ndarray:
    """What every study's task does first."""
    generator = loaded_generator(checkpoint, digest)
    return generator.images(generator.sample_latents(stop - start, SEED, start=start))


def bare(checkpoint: str, digest: str, count: int) -> float:
    """Images a second of the network alone, in this process, on one thread."""
    generator: LoadedGenerator = loaded_generator(checkpoint, digest)
    latents = torch.from_numpy(generator.sample_latents(count, SEED))
    began = time.perf_counter()
    with torch.inference_mode():
        for block in latents.split(BLOCK_IMAGES):
            generator.network(block)
    return count / (time.perf_counter() - began)


def rendered(pool: TaskPool, checkpoint: str, digest: str, count: int) -> float:
    """Images a second from the first task on to the last image's arrival here."""
    shards = [(checkpoint, digest, start, start + SHARD_IMAGES) for start in range(0, count, SHARD_IMAGES)]
    began = time.perf_counter()
    arrived = sum(len(images) for images in pool.map(render, shards, name="render"))
    assert arrived == count
    return count / (time.perf_counter() - began)


def measure(checkpoint: str, *, rounds: int, images: int) -> dict[str, Any]:
    """Both, in turn, on a Ray of one core."""
    digest = load_generator(checkpoint).digest
    with connect("rendering", verbose=False, say=print):
        pool = TaskPool(TaskResources(workers=1))
        for _ in range(2):
            list(pool.map(render, [(checkpoint, digest, 0, SHARD_IMAGES)], name="warm"))
        speeds = []
        for _ in range(rounds):
            alone = next(pool.map(bare, [(checkpoint, digest, images)], name="bare"))
            speeds.append((alone, rendered(pool, checkpoint, digest, images)))
    ratios = [ours / alone for alone, ours in speeds]
    return {
        "images": images,
        "bare_images_per_second": round(statistics.median(alone for alone, _ in speeds), 1),
        "ratio_to_bare": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def untrained(folder: str) -> str:
    """A generator folder with the default network's first weights."""
    model = ModelConfig()
    network = build_generator(model, resolution=RESOLUTION, channels=3, seed=0)
    config = {**model.model_dump(), "resolution": RESOLUTION, "channels": 3}
    for name, data in generator_files(network.state_dict(), config).items():
        (Path(folder) / name).write_bytes(data)
    return folder


def main() -> None:
    """Measures and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", help="a run, checkpoint or exported generator")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=16_384)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.checkpoint or untrained(folder), rounds=arguments.rounds, images=arguments.images)
    print(json.dumps({"benchmark": "rendering", **result}, indent=2))


if __name__ == "__main__":
    main()
