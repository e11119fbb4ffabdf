"""Which GPUs count: those that PyTorch can compute on.

Ray counts any that a machine has, also a Mac's, an Intel one, one whose driver is too old, and one that is older than
the code in PyTorch's wheel. A worker that were given such a one could only fail.
"""

import functools
import itertools
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.orchestration.cluster.ray_internals import counted_gpus

if TYPE_CHECKING:
    import torch

_TYPE = "accelerator_type:"  # what Ray calls a resource of which a node with such a GPU has one
# As ray/_private/accelerators has them. Tesla M4 and M6 would read as Apple's, and are too old for PyTorch's wheels.
_APPLE = re.compile(r"M\d(-(Pro|Max|Ultra))?|Apple-Silicon")
_INTEL = "Intel-"


@dataclass(frozen=True)
class LocalGpus:
    """Of this machine.

    Attributes:
        usable: How many PyTorch can compute on; they come first in Ray's count.
        found: How many Ray would count.
        kind: Of these, as Ray calls it; may be empty.
        reason: Why PyTorch cannot use those beyond `usable`; empty where there are none.
    """

    usable: int
    found: int = 0
    kind: str = ""
    reason: str = ""

    @property
    def line(self) -> str:
        """What people are told of those that are not used; empty where there are none."""
        left = self.found - self.usable
        return f"GPUs: {left} of this machine{_kind(self.kind)} not used: {self.reason}" if left > 0 else ""


@functools.cache
def local_gpus() -> LocalGpus:
    """What this machine has; looked at once a process."""
    import torch

    # Only the driver itself says whether it is new enough, and says why not in a warning. torch.cuda.device_count
    # asks NVML, which counts a card that the wheel's CUDA cannot talk to.
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    why = next((str(one.message) for one in said if "CUDA" in str(one.message)), "")
    capabilities = [torch.cuda.get_device_capability(card) for card in range(visible)] if torch.version.cuda else []
    too_old = [one for one in capabilities if not has_code_for(one, torch.cuda.get_arch_list())]
    usable = visible
    if too_old:
        usable = len(list(itertools.takewhile(lambda one: one not in too_old, capabilities)))
        built = " ".join(torch.cuda.get_arch_list())
        major, minor = too_old[0]
        why = f"PyTorch's code is for {built}, not for sm_{major}{minor}; CUDA_VISIBLE_DEVICES names cards to use"
    found, kind = counted_gpus() or (visible, "")
    if not why:
        built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "ROCm" if torch.version.hip else "CPUs"
        why = f"PyTorch, built for {built_for}, finds {usable or 'none'}{_named_visible()}"
    return LocalGpus(usable, max(found, visible), kind, _first_sentence(why))


def node_gpus(node: Mapping[str, Any], *, here: LocalGpus | None = None) -> tuple[float, str]:
    """How many GPUs of one of `ray.nodes()` count, and what people are told of the others.

    Args:
        node: Ray's description of it.
        here: What this process finds, where it runs on that node. Of other nodes only Ray's word is to be had, and that
            is good: a head without a GPU trains on those of its workers.
    """
    resources = node["Resources"]
    has = float(resources.get("GPU", 0.0))
    kind = next((key.removeprefix(_TYPE) for key in resources if key.startswith(_TYPE)), "")
    usable, reason = has, ""
    if _APPLE.fullmatch(kind) or kind.startswith(_INTEL):
        usable, reason = 0.0, "PyTorch computes on CUDA here"
    elif here is not None and here.usable < has:
        usable, reason = float(here.usable), here.reason
    if usable == has:
        return has, ""
    return usable, f"{has - usable:g} of node {node['NodeManagerAddress']}{_kind(kind)} not used: {reason}"


def is_usable(device: "str | torch.device") -> bool:
    """Whether PyTorch finds this GPU and has code for it; False for a CPU."""
    import torch

    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return False
    if not torch.version.cuda:  # ROCm
        return True
    return has_code_for(torch.cuda.get_device_capability(device), torch.cuda.get_arch_list())


def has_code_for(capability: tuple[int, int], architectures: Iterable[str]) -> bool:
    """Whether a wheel built for these architectures has code that a card runs.

    Machine code (sm) runs on its own major version from its minor one on, intermediate code (compute) on all that is
    newer.

    >>> wheel = ["sm_75", "sm_80", "sm_86", "sm_90a", "sm_120", "compute_120"]
    >>> [has_code_for(card, wheel) for card in [(7, 0), (7, 5), (8, 9), (9, 0), (10, 0), (12, 1), (13, 0)]]
    [False, True, True, True, False, True, True]
    """
    card = 10 * capability[0] + capability[1]
    for architecture in architectures:
        kind, _, number = architecture.partition("_")
        code = int(re.sub(r"\D", "", number))
        if code <= card and (kind == "compute" or code // 10 == capability[0]):
            return True
    return False


def _named_visible() -> str:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if named is None else f" (CUDA_VISIBLE_DEVICES={named!r})"


def _kind(kind: str) -> str:
    return f" ({kind})" if kind else ""


def _first_sentence(text: str) -> str:
    """Of one of torch's warnings, in one line.

    >>> _first_sentence("CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Get")
    'CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)'
    """
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
