"""Round values for the ticks of an axis, and their labels."""

import math


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high].

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> nice_ticks(0, 128_000, count=4)
    [0.0, 50000.0, 100000.0]
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high]; if they are few, also 2 and 5 times these, or more values between them.

    >>> log_ticks(0.9, 1100)
    [1.0, 10.0, 100.0, 1000.0]
    >>> log_ticks(4, 60)
    [5.0, 10.0, 20.0, 50.0]
    >>> log_ticks(12, 80)
    [15.0, 20.0, 30.0, 50.0, 70.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        candidates = [float(f"{factor * 10.0**power:.6g}") for power in powers for factor in factors]
        ticks = [value for value in candidates if low <= value <= high]
        if len(ticks) >= 4:
            break
    return ticks[:: math.ceil(len(ticks) / 8)]


def short_number(value: float) -> str:
    """A number as the label of a tick.

    >>> [short_number(value) for value in (0, 0.25, 1500, 128_000, 1_500_000, -3.0, 0.0002)]
    ['0', '0.25', '1.5k', '128k', '1.5M', '\u22123', '2e\u22124']
    """
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.6g}{suffix}".replace("-", "\u2212")
    text = f"{value:.6g}"
    if 0 < abs(value) < 0.001:
        mantissa, power = f"{value:.5e}".split("e")
        text = f"{float(mantissa):g}e{int(power)}"
    return text.replace("-", "\u2212")
