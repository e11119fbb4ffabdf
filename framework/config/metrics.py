"""The metrics that `evaluation.metrics` may name: what each compares, which way it is better, and its settings.

A metric is one record here and one function in `framework/evaluation/values/compute.py`.
"""

from dataclasses import dataclass
from typing import Literal, get_args

MetricName = Literal[
    "fid",
    "fid_infinity",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score",
    "memorisation",
    "diversity",
    "authenticity",
    "vendi_score",
]
NetworkName = Literal["inception", "efficientnet", "assessor"]  # the networks that a setting names by a word
NETWORKS: tuple[str, ...] = ("auto", *get_args(NetworkName))  # the words that `evaluation.features` may be
FeatureKind = Literal[NetworkName, "function", "file"]  # what computes the features that are compared
WEIGHTS_ENDINGS = (".pth", ".pt", ".safetensors")  # of a file that `evaluation.features` names
Setting = int | float | str | list[int]
Settings = dict[str, Setting]

PER_CLASS = "_per_class"
"""How the names of scores of one class end (`evaluation.per_class`); the class is in their protocol."""
LEAST_OF_CLASS = 100
"""The fewest training images of a class that is scored by itself."""

# Chong & Forsyth (2020) fit 15 counts, the least a tenth of all.
_FIT_COUNTS, _FIT_LEAST_SHARE = 15, 0.1
# Bińkowski et al. (2018) draw as many subsets of as many images.
_SUBSETS, _SUBSET_SIZE = 100, 1_000
_SEED = 2020  # torch-fidelity's, so that its draws are these


@dataclass(frozen=True)
class Metric:
    """One way to compare two sets of images, or to look at one.

    Attributes:
        name: Its name in `evaluation.metrics`.
        plain_name: The rest of its score's name after `efficientnet_` or `assessor_`; None if it needs the classes of
            the Inception network.
        about: What it measures, for a reader of the report.
        arithmetic: What is computed from the features, and with which precision; part of the protocol.
        settings: Its settings that do not depend on the number of images.
        higher_is_better: True if a larger value is better, False if a smaller one is.
        in_auto: Whether `evaluation.metrics: auto` includes it.
        needs_features: Whether it needs the features of each image; moments are enough otherwise.
        has_real: Whether it compares with real images.
        has_held_out: Whether it also needs real images that training never sees.
        in_torchmetrics: Whether torchmetrics computes it.
        least_images: The fewest images on each side.
        per_class: Whether the images of one class are scored by it too. Copies are sought among all training images.
    """

    name: MetricName
    plain_name: str | None
    about: str
    arithmetic: str
    settings: tuple[tuple[str, Setting], ...] = ()
    higher_is_better: bool = False
    in_auto: bool = True
    needs_features: bool = True
    has_real: bool = True
    has_held_out: bool = False
    in_torchmetrics: bool = False
    least_images: int = 2
    per_class: bool = True

    def settings_for(self, *, real: int | None, fake: int | None) -> Settings:
        """Its settings for so many images on each side."""
        known = [count for count in (real, fake) if count is not None]
        if self.name == "kid":
            return {"subset_size": min(_SUBSET_SIZE, *known), **dict(self.settings)}
        if self.name == "fid_infinity" and fake is not None:
            return {"counts": _fit_counts(fake), **dict(self.settings)}
        return dict(self.settings)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "fid",
            "frechet_distance",
            "The Fréchet distance between the features of generated and of real images",
            "moments float64",
            needs_features=False,
            in_torchmetrics=True,
        ),
        Metric(
            "fid_infinity",
            "frechet_distance_infinity",
            "The Fréchet distance extrapolated to infinitely many samples",
            "moments float64",
            in_auto=False,
            least_images=20,
        ),
        Metric(
            "kid",
            "kernel_distance",
            "The kernel distance between the features of generated and of real images, over random subsets",
            "kernel float64",
            settings=(("subsets", _SUBSETS), ("subset_seed", _SEED)),
            in_torchmetrics=True,
        ),
        Metric(
            "precision",
            "precision",
            "Share of samples that lie among the real images",
            "distances float64",
            (("k", 3),),
            higher_is_better=True,
            least_images=4,
        ),
        Metric(
            "recall",
            "recall",
            "Share of real images that lie among the samples",
            "distances float64",
            (("k", 3),),
            higher_is_better=True,
            least_images=4,
        ),
        Metric(
            "density",
            "density",
            "How many real images' neighbourhoods a sample lies in, as a multiple of what real images would",
            "distances float64",
            (("k", 5),),
            higher_is_better=True,
            least_images=6,
        ),
        Metric(
            "coverage",
            "coverage",
            "Share of real images with a sample close by",
            "distances float64",
            (("k", 5),),
            higher_is_better=True,
            least_images=6,
        ),
        Metric(
            "inception_score",
            None,
            "How surely and how variously samples are told apart by class",
            "entropies float64",
            settings=(("splits", 10), ("split_seed", _SEED)),
            higher_is_better=True,
            in_auto=False,
            has_real=False,
            in_torchmetrics=True,
            least_images=10,
        ),
        Metric(
            "memorisation",
            "memorisation",
            "Share of pairs in which a sample is nearer to the training images than an unseen image is; "
            "50% is as near, towards 100% are copies",
            "distances float64",
            (("copy_quantile", 0.01),),
            has_held_out=True,
            per_class=False,
        ),
        Metric(
            "diversity",
            "diversity",
            "How far apart samples lie, as a multiple of how far apart real images lie",
            "moments float64",
            higher_is_better=True,
            needs_features=False,
        ),
        Metric(
            "authenticity",
            "authenticity",
            "Share of samples whose nearest training image has another training image nearer still; copies do not",
            "distances float64",
            higher_is_better=True,
            in_auto=False,
            per_class=False,
        ),
        Metric(
            "vendi_score",
            "vendi_score",
            "How many images with nothing in common the samples amount to, by the cosines between their features",
            "cosines float64",
            higher_is_better=True,
            in_auto=False,
            has_real=False,
        ),
    )
}


def is_per_class(metric: str) -> bool:
    """Whether a score is one of the images of a single class, by its name.

    >>> is_per_class("fid500_768_per_class"), is_per_class("fid5k_768")
    (True, False)
    """
    return metric.endswith(PER_CLASS)


def _fit_counts(fake: int) -> list[int]:
    least, steps = round(fake * _FIT_LEAST_SHARE), _FIT_COUNTS - 1
    return sorted({least + round((fake - least) * step / steps) for step in range(_FIT_COUNTS)})
