"""One training step of the notebooks' pair at 128 px: ours, the plain way, and what the machine can do at most.

    python benchmarks/training_step.py [--batch 32] [--rounds 5] [--width 128] [--resolution 128] [--json]

Everything is interleaved within each round, so that other load touches all alike; the best of the rounds counts.
`plain` is float32 NCHW written in the plainest way; the limit is the fastest large matrix product, float32 or bfloat16.
"""

import argparse
import json
import platform
import time

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from framework.config import Experiment, with_overrides
from framework.training.precision import Precision, choose_precision
from framework.training.state import TrainState
from framework.training.steps.gan_step import NotebookStep
from framework.training.workers import WorkerGroup

CPU = torch.device("cpu")
PRODUCT_SIDES = (1024, 2048, 4096)


class Plain:
    """The notebook in PyTorch as one would first write it."""

    def __init__(self, *, resolution, width, latent_size, batch):
        doublings = (resolution // 8).bit_length() - 1
        self.latent_size, self.batch = latent_size, batch
        generator = [nn.Linear(latent_size, 64 * width), nn.LeakyReLU(0.2), nn.Unflatten(1, (width, 8, 8))]
        discriminator = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
        for _ in range(doublings):
            generator += [nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            discriminator += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width, width, 3, stride=2), nn.LeakyReLU(0.2)]
        self.generator = nn.Sequential(*generator, nn.ZeroPad2d((3, 4, 3, 4)), nn.Conv2d(width, 3, 8), nn.Tanh())
        self.discriminator = nn.Sequential(
            *discriminator, nn.Flatten(), nn.Dropout(0.4), nn.Linear(64 * width, 1), nn.Sigmoid()
        )
        self.loss = nn.BCELoss()
        self.adam_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def train_discriminator(self, images, target):
        self.adam_d.zero_grad()
        self.loss(self.discriminator(images), torch.full((len(images), 1), target)).backward()
        self.adam_d.step()

    def __call__(self, pixels):
        half = self.batch // 2
        self.train_discriminator(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, 1.0)
        with torch.no_grad():
            fake = self.generator(torch.randn(half, self.latent_size))
        self.train_discriminator(fake, 0.0)
        self.discriminator.requires_grad_(False)
        self.adam_g.zero_grad()
        judged = self.discriminator(self.generator(torch.randn(self.batch, self.latent_size)))
        self.loss(judged, torch.ones(self.batch, 1)).backward()
        self.adam_g.step()
        self.discriminator.requires_grad_(True)


def our_step(experiment, precision, resolution):
    state = TrainState.fresh(experiment, resolution=resolution, channels=3, precision=precision, device=CPU)
    return NotebookStep(state, experiment=experiment, workers=WorkerGroup(), precision=Precision(precision, CPU))


def product(side, dtype):
    left, right = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    return lambda: left @ right


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(works, rounds):
    """The best of the rounds, each of which does everything once; name -> seconds."""
    best = {}
    for _ in range(rounds + 1):  # the first warms up, and counts where it should be the best
        for name, work in works.items():
            best[name] = min(best.get(name, float("inf")), timed(work))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()

    shape = {"data.resolution": given.resolution, "model.width": given.width, "training.batch_size": given.batch}
    experiment = with_overrides(Experiment(), shape)
    half = (given.batch // 2, given.resolution, given.resolution, 3)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, half, np.uint8))
    plain = Plain(resolution=given.resolution, width=given.width, latent_size=100, batch=given.batch)
    with FlopCounterMode(display=False) as counter:
        plain(pixels)
    operations = counter.get_total_flops()

    chosen, reason = choose_precision(experiment, resolution=given.resolution, channels=3, device=CPU)
    precisions = {"float32", chosen}
    steps = {f"ours, {name}": our_step(experiment, name, given.resolution) for name in sorted(precisions)}
    works = {name: lambda step=step: step(pixels) for name, step in steps.items()} | {"plain": lambda: plain(pixels)}
    dtypes = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if chosen == "bfloat16" else {})
    products = {(side, name): product(side, dtype) for side in PRODUCT_SIDES for name, dtype in dtypes.items()}
    seconds = measure(works | products, given.rounds)

    rates = {key: 2 * key[0] ** 3 / seconds[key] / 1e9 for key in products}
    limit_of = max(rates, key=lambda key: rates[key])
    limit = rates[limit_of]
    ours = f"ours, {chosen}"
    result = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "precision": chosen,
        "precision_reason": reason,
        "operations_per_image": operations / given.batch,
        "images_per_second": {name: given.batch / seconds[name] for name in works},
        "gflops": {name: operations / seconds[name] / 1e9 for name in works},
        "limit": {"gflops": limit, "what": f"{limit_of[0]}x{limit_of[0]} product, {limit_of[1]}"},
        "products_gflops": {f"{side} {name}": rate for (side, name), rate in rates.items()},
        "ratio_to_plain": seconds["plain"] / seconds[ours],
        "share_of_limit": operations / seconds[ours] / 1e9 / limit,
        "share_of_float32_limit": operations
        / seconds["ours, float32"]
        / 1e9
        / max(rate for (_, name), rate in rates.items() if name == "float32"),
    }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; precision auto: {chosen} ({reason})")
    for name in works:
        print(f"  {name:16s} {result['images_per_second'][name]:8.2f} images/s {result['gflops'][name]:8.1f} GFLOP/s")
    print(f"  {'limit':16s} {'':17s} {limit:8.1f} GFLOP/s  ({result['limit']['what']})")
    print(
        f"ours against plain: {result['ratio_to_plain']:.2f} times as fast; {result['share_of_limit']:.0%} of the limit"
    )


if __name__ == "__main__":
    main()
