"""Counts the GPUs that PyTorch can compute on.

Ray counts every GPU of a machine, also Apple and Intel GPUs, GPUs whose driver is too old, and GPUs that are too old
for the code in PyTorch's wheel. A worker on such a GPU would fail.
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

_TYPE = "accelerator_type:"  # prefix of the resource by which Ray marks a node with this type of GPU
# Names as in ray/_private/accelerators. Tesla M4 and M6 match Apple's pattern, but PyTorch's wheels exclude them too.
_APPLE = re.compile(r"M\d(-(Pro|Max|Ultra))?|Apple-Silicon")
_INTEL = "Intel-"


@dataclass(frozen=True)
class LocalGpus:
    """The GPUs of this machine.

    Attributes:
        usable: How many PyTorch can compute on; they come first in Ray's numbering.
        found: How many Ray would count.
        kind: Their type, as Ray calls it; may be empty.
        reason: Why PyTorch cannot use the others; empty if it can use all.
    """

    usable: int
    found: int = 0
    kind: str = ""
    reason: str = ""

    @property
    def line(self) -> str:
        """A message about the GPUs that are not used; empty if all are used."""
        unused = self.found - self.usable
        return f"GPUs: {unused} of this machine{_kind(self.kind)} not used: {self.reason}" if unused > 0 else ""


@functools.cache
def local_gpus() -> LocalGpus:
    """The GPUs of this machine; checked once per process."""
    import torch

    # Only initialising CUDA shows whether the driver is new enough; the reason comes as a warning.
    # torch.cuda.device_count asks NVML, which also counts a card that the wheel's CUDA cannot use.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    why = next((str(warning.message) for warning in caught if "CUDA" in str(warning.message)), "")
    capabilities = [torch.cuda.get_device_capability(card) for card in range(visible)] if torch.version.cuda else []
    too_old = [capability for capability in capabilities if not has_code_for(capability, torch.cuda.get_arch_list())]
    usable = visible
    if too_old:
        usable = len(list(itertools.takewhile(lambda capability: capability not in too_old, capabilities)))
        built = " ".join(torch.cuda.get_arch_list())
        major, minor = too_old[0]
        why = f"PyTorch is built for {built}, not for sm_{major}{minor}; CUDA_VISIBLE_DEVICES selects the cards to use"
    found, kind = counted_gpus() or (visible, "")
    if not why:
        built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "ROCm" if torch.version.hip else "CPUs"
        why = f"PyTorch, built for {built_for}, finds {usable or 'none'}{_named_visible()}"
    return LocalGpus(usable, max(found, visible), kind, _first_sentence(why))


def node_gpus(node: Mapping[str, Any], *, here: LocalGpus | None = None) -> tuple[float, str]:
    """How many GPUs of one of `ray.nodes()` count, and a message about the others.

    Args:
        node: Ray's description of the node.
        here: What this process finds, if it runs on that node. For other nodes Ray's count is used, so a job on a head
            node without a GPU can use the GPUs of the worker nodes.
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
    """Whether a wheel built for these architectures has code that runs on a card.

    Machine code (sm) runs on cards of the same major and the same or a higher minor version; intermediate code
    (compute) runs on every card that is as new or newer.

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
    """The first sentence of a warning of torch, in one line.

    >>> _first_sentence("CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Get")
    'CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)'
    """
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
