"""The names of scores."""

from decimal import Decimal

from framework.config.metrics import METRICS, PER_CLASS, MetricName


def score_name(
    metric: MetricName,
    *,
    features: str,
    tap: int,
    clean: bool = False,
    generated: int | None,
    truncation: float | None = None,
    per_class: bool = False,
) -> str:
    """The name of a score, from its metric, features, number of generated images, truncation and division by classes.

    Args:
        features: `FeatureSpec.prefix`.
        truncation: ψ; None for 1.
        per_class: Whether the images are those of one class.

    >>> score_name("kid", features="inception", tap=768, generated=5000)
    'kid5k_768'
    >>> score_name("fid", features="inception", tap=2048, clean=True, generated=50_000)
    'clean_fid50k_2048'
    >>> score_name("inception_score", features="inception", tap=2048, generated=1234)
    'inception_score1234'
    >>> score_name("kid", features="assessor", tap=80, generated=5000)
    'assessor_kernel_distance'
    >>> score_name("fid", features="efficientnet", tap=1280, generated=5000)
    'efficientnet_frechet_distance'
    >>> score_name("fid", features="inception", tap=768, generated=5000, truncation=0.7)
    'fid5k_768_psi0_7'
    >>> score_name("fid", features="inception", tap=768, generated=500, per_class=True)
    'fid500_768_per_class'
    """
    ending = ("" if truncation is None else f"_psi{_plain(truncation)}") + PER_CLASS * per_class
    if features != "inception":
        return f"{features}_{METRICS[metric].plain_name}{ending}"
    count = "" if generated is None else short_count(generated)
    tapped = "" if metric == "inception_score" else f"_{tap}"
    return f"{'clean_' if clean else ''}{metric}{count}{tapped}{ending}"


def short_count(count: int) -> str:
    """A number of images as it appears in names.

    >>> short_count(50_000), short_count(1_500)
    ('50k', '1500')
    """
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)


def _plain(number: float) -> str:
    """A number as it appears in names, which have neither dots nor exponents.

    >>> _plain(0.75), _plain(2.0), _plain(1e-05)
    ('0_75', '2', '0_00001')
    """
    return f"{Decimal(repr(number)).normalize():f}".replace(".", "_")
