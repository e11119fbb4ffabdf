"""The names of scores."""

from framework.config.metrics import METRICS, FeatureKind, MetricName


def score_name(metric: MetricName, *, kind: FeatureKind, tap: int, clean: bool = False, generated: int | None) -> str:
    """The name of a score, from its metric, features and number of generated images.

    >>> score_name("kid", kind="inception", tap=768, generated=5000)
    'kid5k_768'
    >>> score_name("fid", kind="inception", tap=2048, clean=True, generated=50_000)
    'clean_fid50k_2048'
    >>> score_name("inception_score", kind="inception", tap=2048, generated=1234)
    'inception_score1234'
    >>> score_name("kid", kind="assessor", tap=80, generated=5000)
    'assessor_kernel_distance'
    >>> score_name("fid", kind="efficientnet", tap=1280, generated=5000)
    'efficientnet_frechet_distance'
    """
    if kind != "inception":
        return f"{kind}_{METRICS[metric].plain_name}"
    count = "" if generated is None else short_count(generated)
    tapped = "" if metric == "inception_score" else f"_{tap}"
    return f"{'clean_' if clean else ''}{metric}{count}{tapped}"


def short_count(count: int) -> str:
    """A number of images as it appears in names.

    >>> short_count(50_000), short_count(1_500)
    ('50k', '1500')
    """
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)
