"""Packs a source of images into a uint8 store, and reads batches from the store.

Names are imported lazily, because the decoding workers import this package and start in a tenth of a second without
numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.data.packing.prepare import Survey, find_prepared, prepare, survey
    from framework.data.prefetch import Prefetcher
    from framework.data.store import PackedStore, open_store
    from framework.data.stream import TrainingStream

_HOMES = {
    "PackedStore": "store",
    "Prefetcher": "prefetch",
    "Survey": "packing.prepare",
    "TrainingStream": "stream",
    "find_prepared": "packing.prepare",
    "open_store": "store",
    "prepare": "packing.prepare",
    "survey": "packing.prepare",
}

__all__ = ["PackedStore", "Prefetcher", "Survey", "TrainingStream", "find_prepared", "open_store", "prepare", "survey"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"framework.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
