"""Tensors taken to the CPU at once, and a thread that writes."""

import threading

import pytest
import torch

from framework.checkpoint.saved import parse_tensors, tensor_bytes
from framework.checkpoint.snapshot import Writing, in_one_copy, on_host


def test_what_is_on_the_cpu_is_not_copied():
    parts = {"generator": {"weight": torch.ones(3)}, "ema": {}}
    assert on_host(parts) == parts
    assert on_host(parts)["generator"]["weight"] is parts["generator"]["weight"]


def test_one_copy_keeps_shapes_and_values_of_any_layout():
    images = torch.arange(48.0).view(1, 3, 4, 4).to(memory_format=torch.channels_last)
    tensors = [images, torch.tensor(7.0), torch.empty(0, 2), torch.arange(6.0).view(2, 3).t()]
    copies = in_one_copy(tensors)
    assert len({copy.untyped_storage().data_ptr() for copy in copies if copy.numel()}) == 1
    for tensor, copied in zip(tensors, copies, strict=True):
        assert copied.shape == tensor.shape
        assert torch.equal(copied, tensor)
    names = [str(number) for number in range(len(copies))]
    parsed = parse_tensors(tensor_bytes(dict(zip(names, copies, strict=True))), place="here")
    assert all(torch.equal(parsed[name], tensor) for name, tensor in zip(names, tensors, strict=True))


def test_a_writing_is_done_when_it_is_and_raises_what_it_met():
    may_end = threading.Event()
    writing = Writing(may_end.wait)
    assert not writing.done()
    may_end.set()
    writing.wait()
    assert writing.done()

    def full():
        raise OSError("no space left")

    writing = Writing(full)
    for _ in range(2):
        with pytest.raises(OSError, match="no space left"):
            writing.wait()
