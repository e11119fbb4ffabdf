"""The error message for a training that does not fit into memory."""

import os
import re

import torch

from framework.config import Experiment
from framework.errors import OutOfMemoryError
from framework.training.workers import WorkerGroup

_WORDS = re.compile(r"CUDA.*out of memory|_STATUS_ALLOC_FAILED", re.DOTALL)


def out_of_memory(experiment: Experiment, workers: WorkerGroup) -> OutOfMemoryError:
    """An error that names the available memory, the images per pass, and the keys that reduce the memory."""
    device, batch = torch.device(workers.device), experiment.training.batch_size
    if device.type == "cuda":
        place, total = "this GPU", torch.cuda.get_device_properties(device).total_memory
    else:
        place, total = "this machine", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    share = -(-batch // workers.world_size)
    at_once = min(share, experiment.compute.images_per_pass or share)
    count = f"{workers.world_size} worker{'s' if workers.world_size > 1 else ''}"
    has = f"out of memory: {place} has {total / 2**30:,.1f} GiB, and"
    if at_once == 1:
        return OutOfMemoryError(f"{has} one image at a time is too much; lower model.width or data.resolution")
    return OutOfMemoryError(
        f"{has} training.batch_size={batch} on {count} is {at_once} images at a time on each; try "
        f"compute.images_per_pass={at_once // 2}, which does not change the training, or a smaller "
        "training.batch_size, or raise compute.workers"
    )


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether an exception means that memory ran out; for GPU libraries and pinned memory only the message shows it.

    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"))
    True
    """
    return isinstance(fault, torch.OutOfMemoryError | MemoryError) or bool(_WORDS.search(str(fault)))
