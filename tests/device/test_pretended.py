"""The pretended GPU itself: what it minds, what it records, and that nothing of it stays."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tests.device.pretended import Record, _backward, _grad, pretended

HERE = r"at tests/device/test_pretended\.py:\d+ in "


@pytest.fixture
def gpu():
    with pretended() as gpu:
        yield gpu


def ones(*shape):
    return torch.ones(shape, device="cuda")


WAITS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "bool": lambda x: bool(x.any()),
    "cpu": lambda x: x.cpu(),
    "tolist": lambda x: x.tolist(),
    "into_the_host's": lambda x: torch.ones(2, 2).copy_(x),
    "into_the_host's_by_place": lambda x: torch.ones(2, 2).__setitem__(0, x[0]),
    "into_memory_that_is_not_pinned": lambda x: torch.ones(2, 2).copy_(x, non_blocking=True),
    "equal": lambda x: torch.equal(x, x),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "cholesky": torch.linalg.cholesky,
    "synchronize": lambda x: torch.cuda.synchronize(),
    "event": lambda x: torch.cuda.Event().synchronize(),
}
BLOCKING = {
    "to": lambda x: torch.ones(2).to("cuda"),
    "tensor": lambda x: torch.tensor([1.0], device="cuda"),
    "not_pinned": lambda x: torch.ones(2).to("cuda", non_blocking=True),
    "pinned_but_waited_for": lambda x: torch.ones(2).pin_memory().to("cuda"),
    "pinned_but_not_contiguous": lambda x: torch.ones(4, 4).pin_memory()[:, 1:].to("cuda", non_blocking=True),
    "copy": lambda x: x.copy_(torch.ones(2, 2)),
    "index": lambda x: x[torch.tensor([0])],
}
FREE = {
    "pinned": lambda x: torch.ones(2).pin_memory().to("cuda", non_blocking=True),
    "made_pinned": lambda x: torch.empty(2, pin_memory=True).to("cuda", torch.float64, non_blocking=True),
    "part_of_pinned": lambda x: torch.from_numpy(torch.ones(4).pin_memory().numpy()[2:]).to("cuda", non_blocking=True),
    "copy": lambda x: x.copy_(torch.ones(2, 2).pin_memory(), non_blocking=True),
    "to_pinned": lambda x: torch.empty_like(x, device="cpu", pin_memory=True).copy_(x, non_blocking=True),
    "number": lambda x: x * 3.0 + torch.tensor(2.0),
    "filled_by_a_mask": lambda x: x.__setitem__(x > 0, 0.0),
}


@pytest.mark.parametrize(
    ("kind", "work"),
    [
        pytest.param(kind, work, id=f"{kind}-{name}")
        for kind, works in (("waits", WAITS), ("blocking", BLOCKING))
        for name, work in works.items()
    ],
)
def test_what_stops_the_host_is_recorded_with_its_line(gpu, kind, work):
    x = ones(2, 2)
    gpu.taken()
    work(x)
    record = gpu.taken()
    assert record.blocking.total() + record.waits.total() == getattr(record, kind).total() == 1
    assert "device/test_pretended.py:" in record.told(kind)


@pytest.mark.parametrize("work", FREE.values(), ids=FREE)
def test_what_does_not_stop_the_host_is_not(gpu, work):
    x = ones(2, 2)
    gpu.taken()
    work(x)
    record = gpu.taken()
    assert not record.blocking, record.told("blocking")
    assert not record.waits, record.told("waits")


@pytest.mark.parametrize(
    "fault",
    [
        lambda: ones(2) + torch.ones(2),
        lambda: torch.stack([ones(2), torch.ones(2)]),
        lambda: torch.nn.functional.linear(ones(2, 2), torch.ones(2, 2)),
        lambda: torch.randn(2, device="cuda", generator=torch.Generator()),
        lambda: torch._fused_adam_(*([ones(2)] for _ in range(4)), [], [torch.ones(())], lr=0.1, beta1=0.5, beta2=0.5,
                                   weight_decay=0.0, eps=1e-7, amsgrad=False, maximize=False),
    ],
    ids=["add", "stack", "linear", "generator", "fused_adam"],
)  # fmt: skip
def test_tensors_on_both_devices_are_refused_with_the_line(gpu, fault):
    with pytest.raises(RuntimeError, match=HERE):
        fault()


def test_numpy_wants_the_host(gpu):
    for fault in (lambda: ones(2).numpy(), lambda: np.asarray(ones(2))):
        with pytest.raises(TypeError, match=f"can't convert cuda:0 .*{HERE}"):
            fault()


def test_memory_that_was_given_back_is_pinned_no_longer(gpu):
    memory = np.ones(1000, np.float32)
    pinned = gpu.pin(torch.from_numpy(memory))
    assert pinned.is_pinned()
    assert pinned[10:].is_pinned()
    del pinned
    assert not torch.from_numpy(memory).is_pinned()  # another tensor's now, at the same place


def test_layouts_of_convolutions(gpu):
    layer = nn.Conv2d(3, 4, 3).to("cuda")
    layer(ones(2, 3, 8, 8))
    assert gpu.taken().layouts.total() == 2  # images and weights
    layer = layer.to(memory_format=torch.channels_last)
    layer(ones(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)).square().sum().backward()
    assert layer.weight.grad.is_contiguous(memory_format=torch.channels_last)
    assert gpu.taken().layouts.total() == 0


def test_threads_have_the_gpu_too(gpu):
    def work():
        return torch.ones(2).pin_memory().to("cuda", non_blocking=True), torch.ones(2).to("cuda")

    with ThreadPoolExecutor(1) as pool:
        moved = pool.submit(work).result()
    thread = threading.Thread(target=lambda: moved[0].sum().item())
    thread.start()
    thread.join()
    record = gpu.taken()
    assert (moved[0] + moved[1]).device.type == "cuda"
    assert (record.blocking.total(), record.waits.total(), record.copies.total()) == (0, 0, 0)
    assert [what.partition(":")[0] for what in sorted(record.aside)] == ["blocking", "waits"]


def test_its_engine_gives_torchs_gradients():
    """On the CPU, where there are values; a gradient of a gradient too."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4 * 36, 5), nn.Softplus())
    body = body.double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def gradients(grad, backward):
        body.zero_grad()
        logits = body(images)
        (slopes,) = grad(logits.sum(), images, create_graph=True)
        loss = F.softplus(logits).sum() + 3 * slopes.square().sum() + (logits[0] * logits[1]).sum()
        backward(loss)
        first = [parameter.grad.clone() for parameter in body.parameters()]
        backward(body(images).mean())  # on top of those
        return [slopes, *first, *(parameter.grad for parameter in body.parameters())]

    ours = gradients(_grad, _backward)
    for found, expected in zip(ours, gradients(torch.autograd.grad, torch.Tensor.backward), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_nothing_stays():
    places = [(torch.cuda, "is_available"), (torch.Tensor, "backward"), (torch.Tensor, "pin_memory")]
    places += [(torch.autograd, "grad"), (nn.Module, "_apply"), (threading.Thread, "start")]
    before = [getattr(place, name) for place, name in places]
    with pytest.raises(RuntimeError, match="of the CPU draws"), pretended():
        torch.randn(2, device="cuda", generator=torch.Generator())
    assert [getattr(place, name) for place, name in places] == before
    assert "numpy" not in vars(torch._subclasses.FakeTensor)
    assert not torch._C._only_lift_cpu_tensors()
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [1, 1]]
    with pytest.raises((RuntimeError, AssertionError)):
        torch.ones(2).to("cuda")


def test_a_record_tells_itself():
    record = Record()
    record.waits["item: a.py:1 in f"] += 2
    assert record.told("blocking", "waits") == "waits: 2 x item: a.py:1 in f"
