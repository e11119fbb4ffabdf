"""Exact arithmetic where bytes are promised: what torch is told within, and what it is told again afterwards."""

import threading

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from framework.models.arithmetic.exact import exact, kind_of

CUDNN, PRODUCTS = torch.backends.cudnn, torch.backends.cuda.matmul


def flags():
    return {
        "benchmark": CUDNN.benchmark,
        "deterministic": CUDNN.deterministic,
        "convolutions": CUDNN.conv.fp32_precision,
        "recurrent": CUDNN.rnn.fp32_precision,
        "products": PRODUCTS.fp32_precision,
        "on CPUs": torch.backends.mkldnn.matmul.fp32_precision,
    }


def older():
    return CUDNN.allow_tf32, PRODUCTS.allow_tf32


@pytest.fixture(autouse=True)
def as_it_was():
    before = flags()
    yield
    torch.backends.fp32_precision = CUDNN.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    CUDNN.allow_tf32, PRODUCTS.allow_tf32 = True, False
    PRODUCTS.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision = before["products"], before["on CPUs"]
    CUDNN.benchmark, CUDNN.deterministic = before["benchmark"], before["deterministic"]
    assert flags() == before


def products_by_the_older_name():
    torch.set_float32_matmul_precision("high")


def products_by_the_newer_name():
    PRODUCTS.fp32_precision = "tf32"


def all_of_it():
    torch.backends.fp32_precision = "tf32"


def convolutions_already():
    CUDNN.conv.fp32_precision = "ieee"


def benchmark():
    CUDNN.benchmark = True


STARTS = (
    benchmark,
    all_of_it,
    convolutions_already,
    products_by_the_older_name,
    products_by_the_newer_name,
    lambda: setattr(CUDNN, "allow_tf32", False),
    lambda: None,
)


@pytest.mark.parametrize("start", STARTS)
def test_within_it_nothing_is_rounded_and_afterwards_all_is_as_it_was(start):
    start()
    before = flags()
    with exact():
        inside = flags()
        assert (inside["benchmark"], inside["deterministic"]) == (False, True)
        assert "tf32" not in (inside["convolutions"], inside["recurrent"], inside["products"])
        assert inside["on CPUs"] == before["on CPUs"]
        # A product asks by these names, and torch refuses one whose two sets of names do not agree.
        assert older() == (False, False)
    assert flags() == before


def test_the_older_names_have_their_answers_back():
    products_by_the_older_name()
    with exact():
        pass
    assert older() == (True, True)
    assert torch.get_float32_matmul_precision() == "high"


def test_it_may_be_entered_within_itself_and_left_by_a_fault():
    before = flags()

    def fail():
        with exact():
            raise KeyError

    with exact():
        with pytest.raises(KeyError):
            fail()
        assert CUDNN.deterministic
        assert CUDNN.conv.fp32_precision == "ieee"
    assert flags() == before


def test_a_thread_that_leaves_takes_nothing_from_another():
    before, told = flags(), {}
    inside, left = threading.Event(), threading.Event()

    def first():
        with exact():
            inside.set()
            left.wait()
            told["still exact"] = CUDNN.conv.fp32_precision

    thread = threading.Thread(target=first, daemon=True)  # what fails here would leave it waiting
    thread.start()
    inside.wait()
    with exact():
        pass
    left.set()
    thread.join()
    assert told == {"still exact": "ieee"}
    assert flags() == before


def test_the_first_thread_may_leave_before_the_second():
    before = flags()
    first, second = exact(), exact()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert CUDNN.conv.fp32_precision == "ieee"
    second.__exit__(None, None, None)
    assert flags() == before


def test_a_cpu_computes_the_same_bits_within_it():
    generator = torch.Generator().manual_seed(0)
    images, weights = torch.randn(4, 3, 16, 16, generator=generator), torch.randn(8, 3, 3, 3, generator=generator)
    matrix = torch.randn(64, 64, generator=generator)
    outside = F.conv2d(images, weights), matrix @ matrix
    with exact():
        assert all(map(torch.equal, outside, (F.conv2d(images, weights), matrix @ matrix)))


def test_a_cpu_is_no_kind_of_gpu():
    assert kind_of("cpu") is None
    assert kind_of(torch.device("cpu")) is None
