"""Pictures whose labels are known because they are drawn here: a bright bar or none, and one of three tints."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from framework.data import PackedStore

TINTS = {"red": (60, -30, -30), "green": (-30, 60, -30), "blue": (-30, -30, 60)}


def make_store(count=600, *, side=32, seed=0, held_out=0.2, labels=None):
    rng = np.random.default_rng(seed)
    bar, tint = rng.integers(0, 2, count), rng.integers(0, 3, count)
    images = rng.normal(128, 12, (count, side, side, 3)) + np.array(list(TINTS.values()))[tint][:, None, None]
    rows = slice(side // 4, side // 4 + side // 8)
    images[bar == 1, rows, side // 4 : -side // 4] += 70
    images = np.clip(images, 0, 255).astype(np.uint8)
    images.flags.writeable = False  # as a store's memory map
    values = {"bar": bar.astype(np.float32), "tint": tint.astype(np.float32)}
    return PackedStore(
        path=Path("nowhere"),
        source="bars",
        images=images,
        names=[f"{k}.png" for k in range(count)],
        hashes=[hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        held_out=rng.random(count) < held_out,
        labels=values if labels is None else labels,
        label_classes={"tint": list(TINTS)} if labels is None else {},
        rejected=[],
        labels_matched=None,
    )


@pytest.fixture(scope="session")
def store():
    return make_store()


@pytest.fixture(scope="session")
def make():
    return make_store
