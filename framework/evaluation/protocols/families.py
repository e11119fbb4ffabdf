"""The families of metrics: what each is called, what it compares, and the settings that it is made with."""

from dataclasses import dataclass
from typing import Literal

FamilyName = Literal[
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
]
Setting = int | float | str | list[int]
Settings = dict[str, Setting]

# Chong & Forsyth (2020) fit 15 counts, the least a tenth of all.
_FIT_COUNTS, _FIT_LEAST_SHARE = 15, 0.1
# Bińkowski et al. (2018) draw as many subsets of as many images.
_SUBSETS, _SUBSET_SIZE = 100, 1_000
_SEED = 2020  # torch-fidelity's, so that its draws are these


@dataclass(frozen=True)
class Family:
    """One way to compare.

    Attributes:
        name: As `evaluation.metrics` says it.
        assessor_name: What its scores on an assessor's features are called; None where those have none.
        arithmetic: What is computed of the features, and with which precision.
        settings: What it is made with, whatever the images.
        in_auto: Whether `evaluation.metrics: auto` stands for it too.
        needs_features: Whether it wants each image's features, where moments are not enough.
        has_real: Whether it has a real side.
        has_held_out: Whether it wants real images that training never sees too.
        in_torchmetrics: Whether torchmetrics computes it.
        least_images: That each of its sides has.
    """

    name: FamilyName
    assessor_name: str | None
    arithmetic: str
    settings: tuple[tuple[str, Setting], ...] = ()
    in_auto: bool = True
    needs_features: bool = True
    has_real: bool = True
    has_held_out: bool = False
    in_torchmetrics: bool = False
    least_images: int = 2

    def settings_for(self, *, real: int | None, fake: int | None) -> Settings:
        """What it is made with, for so many images on each side."""
        known = [count for count in (real, fake) if count is not None]
        if self.name == "kid":
            return {"subset_size": min(_SUBSET_SIZE, *known), **dict(self.settings)}
        if self.name == "fid_infinity" and fake is not None:
            return {"counts": _fit_counts(fake), **dict(self.settings)}
        return dict(self.settings)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("fid", "frechet_distance", "moments float64", needs_features=False, in_torchmetrics=True),
        Family("fid_infinity", "frechet_distance_infinity", "moments float64", in_auto=False, least_images=20),
        Family(
            "kid",
            "kernel_distance",
            "kernel float64",
            settings=(("subsets", _SUBSETS), ("subset_seed", _SEED)),
            in_torchmetrics=True,
        ),
        Family("precision", "precision", "distances float64", (("k", 3),), least_images=4),
        Family("recall", "recall", "distances float64", (("k", 3),), least_images=4),
        Family("density", "density", "distances float64", (("k", 5),), least_images=6),
        Family("coverage", "coverage", "distances float64", (("k", 5),), least_images=6),
        Family(
            "inception_score",
            None,
            "entropies float64",
            settings=(("splits", 10), ("split_seed", _SEED)),
            in_auto=False,
            has_real=False,
            in_torchmetrics=True,
            least_images=10,
        ),
        Family("memorisation", "memorisation", "distances float64", (("copy_quantile", 0.01),), has_held_out=True),
        Family("diversity", "diversity", "moments float64", needs_features=False),
    )
}


def score_name(
    family: FamilyName, *, kind: Literal["inception", "assessor"], tap: int, clean: bool = False, generated: int | None
) -> str:
    """The name of a family's score with so many generated images.

    >>> score_name("kid", kind="inception", tap=768, generated=5000)
    'kid5k_768'
    >>> score_name("fid", kind="inception", tap=2048, clean=True, generated=50_000)
    'clean_fid50k_2048'
    >>> score_name("inception_score", kind="inception", tap=2048, generated=1234)
    'inception_score1234'
    >>> score_name("kid", kind="assessor", tap=80, generated=5000)
    'assessor_kernel_distance'
    """
    if kind == "assessor":
        return f"assessor_{FAMILIES[family].assessor_name}"
    count = "" if generated is None else short_count(generated)
    tapped = "" if family == "inception_score" else f"_{tap}"
    return f"{'clean_' if clean else ''}{family}{count}{tapped}"


def short_count(count: int) -> str:
    """A number of images as names say it.

    >>> short_count(50_000), short_count(1_500)
    ('50k', '1500')
    """
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)


def _fit_counts(fake: int) -> list[int]:
    least, steps = round(fake * _FIT_LEAST_SHARE), _FIT_COUNTS - 1
    return sorted({least + round((fake - least) * step / steps) for step in range(_FIT_COUNTS)})
