"""Common claims about the three model families, each as a set of comparisons, and verdicts for the compared runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from framework.report.compare_page.compared_run import FAMILIES, ComparedRun
from framework.report.compare_page.metric_rows import (
    PART_APART,
    SHARE_APART,
    MetricRow,
    MetricTable,
    MissingResult,
    find,
)

HOLDS, HOLDS_NOT, MIXED, UNMEASURED, UNJUDGED = (
    *("holds here", "does not hold here", "mixed", "not measured", "not judged"),
)
CLEARLY = (
    f"A value is clearly better than another if it is better by more than {SHARE_APART:g}, for shares and "
    f"probabilities, or by more than {PART_APART:.0%} of the larger value, for everything else. Closer values count as "
    "equal."
)


@dataclass(frozen=True)
class Check:
    """One comparison: a value of one family should be clearly better than a value of another family.

    Attributes:
        better: Family and key of the first value; a key that ends in `.*` stands for all keys with that prefix.
        worse: Family and key of the second value. If the family is the same, both are values of the same run.
        or_equal: Whether it is enough that the first value is not clearly worse.
        name: The name of the comparison; empty for the name of the row.
    """

    better: tuple[str, str]
    worse: tuple[str, str]
    or_equal: bool = False
    name: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim, and the rule by which it is judged.

    Attributes:
        rule: The condition under which it holds, in words.
        checks: The same condition as data: the claim holds if all measured checks do, and does not if none does.
        groups: Keys of the tables whose missing values would be needed.
        also_shown: Keys of rows that are shown with the claim but not judged.
    """

    text: str
    rule: str
    checks: tuple[Check, ...]
    groups: tuple[str, ...]
    also_shown: tuple[str, ...] = ()


def _vae_beats(*keys: str) -> tuple[Check, ...]:
    return tuple(Check(("vae", key), ("autoencoder", key)) for key in keys)


def _gan_beats(*keys: str) -> tuple[Check, ...]:
    return tuple(Check(("gan", key), (family, key)) for key in keys for family in ("autoencoder", "vae"))


def _rebuilds(family: str) -> tuple[Check, ...]:
    encoded, nearest = "photos.encoded_error", "photos.nearest_random_error"
    against_random = f"{FAMILIES[family]}: encoder’s error below that of the nearest random sample"
    against_gan = f"{FAMILIES[family]}: encoder’s error below that of a GAN’s gradient descent"
    return (
        Check((family, encoded), (family, nearest), name=against_random),
        Check((family, encoded), ("gan", "photos.pixel_error"), name=against_gan),
    )


_HOLES = ("hole_share.between_codes", "hole_share.prior_samples")
_PATHS = ("paths.lerp.ratio", "paths.lerp.largest_step")
CLAIMS = (
    Claim(
        "An autoencoder’s latent space has holes.",
        "Holds if an autoencoder has clearly more holes than a VAE, both between codes and under the prior.",
        _vae_beats(*_HOLES),
        ("latent-space",),
    ),
    Claim(
        "An autoencoder does not interpolate well.",
        "Holds if the classifier’s confidence midway between two codes is clearly higher for a VAE, within a class and "
        "between classes, and if straight walks of a VAE and of a GAN are clearly straighter and more even than those "
        "of an autoencoder.",
        (
            *_vae_beats("midpoint_confidence.within_class", "midpoint_confidence.between_classes", *_PATHS),
            *(Check(("gan", key), ("autoencoder", key)) for key in _PATHS),
        ),
        ("latent-space", "walks"),
    ),
    Claim(
        "A VAE’s latent space is continuous.",
        "Holds if a VAE has clearly more holes neither between codes nor under the prior than at the codes themselves. "
        "The KL, which measures how far its codes are from the prior, is shown but not judged.",
        tuple(Check(("vae", key), ("vae", "hole_share.reconstructions"), or_equal=True) for key in _HOLES),
        ("latent-space",),
        ("aggregate_kl_nats",),
    ),
    Claim(
        "A GAN produces the best samples.",
        "Holds if a GAN is clearly better than both other families in every Fréchet distance, precision, recall and "
        "coverage that was computed for all of these runs by the same protocol.",
        _gan_beats("score.distance.*", "score.share.*"),
        ("scores",),
    ),
    Claim(
        "An autoencoder or VAE reconstructs images; a GAN has no encoder.",
        "Holds if the reconstruction of a photograph by the encoder alone is clearly closer to it than the nearest of "
        "many random samples, and clearly closer than the image that a GAN finds by gradient descent.",
        (*_rebuilds("autoencoder"), *_rebuilds("vae")),
        ("photographs",),
    ),
)


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with its verdict, as the page shows it.

    Attributes:
        figures: The rows that the verdict is based on.
        verdict: The verdict in words.
        kind: The verdict as one of the constants above.
        missing: Results that would have to be computed to judge the rest of the claim.
    """

    claim: Claim
    figures: list[MetricRow]
    verdict: str
    kind: str
    missing: list[MissingResult]


def judged_claims(runs: Sequence[ComparedRun], groups: Sequence[MetricTable], *, same_data: bool) -> list[JudgedClaim]:
    """The claims about the families of these runs, with their verdicts."""
    families = {run.family for run in runs}
    return [
        _judged(claim, runs, groups, same_data=same_data)
        for claim in CLAIMS
        # A claim that compares families is left out if the runs do not include such a pair of families.
        if any({check.better[0], check.worse[0]} <= families for check in claim.checks if _is_main(claim, check))
    ]


def _is_main(claim: Claim, check: Check) -> bool:
    """Whether a check can be the reason to show a claim; one within a single run is only if all its checks are."""
    within_run = [each.better[0] == each.worse[0] for each in claim.checks]
    return all(within_run) or check.better[0] != check.worse[0]


def _judged(
    claim: Claim, runs: Sequence[ComparedRun], groups: Sequence[MetricTable], *, same_data: bool
) -> JudgedClaim:
    compared = [result for check in claim.checks for result in _compared(check, runs, groups)]
    keys = dict.fromkeys(figure.key for _, figure, _ in compared)
    more = [key for check in claim.checks for key in (check.better[1], check.worse[1])]
    shown = [figure for key in dict.fromkeys([*keys, *more, *claim.also_shown]) if (figure := find(groups, key))]
    missing = [missing for group in groups if group.key in claim.groups for missing in group.missing]
    outcomes = [(name, outcome) for name, _, outcome in compared if outcome is not None]
    if not same_data and any(check.better[0] != check.worse[0] for check in claim.checks):
        return JudgedClaim(claim, shown, f"{UNJUDGED}: the runs used different data", UNJUDGED, [])
    if outcomes:
        kind, verdict = _verdict(outcomes)
        return JudgedClaim(claim, shown, verdict, kind, missing)
    if compared:
        return JudgedClaim(claim, shown, f"{UNJUDGED}: the values were measured in different ways", UNJUDGED, missing)
    why = "" if missing else ": these runs have no measurement in common"
    return JudgedClaim(claim, shown, f"{UNMEASURED}{why}", UNMEASURED, missing)


def _verdict(outcomes: Sequence[tuple[str, bool]]) -> tuple[str, str]:
    """The kind of the verdict and its text; a mixed one names the checks that hold and those that do not."""
    if len({outcome for _, outcome in outcomes}) == 1:
        kind = HOLDS if outcomes[0][1] else HOLDS_NOT
        return kind, kind
    names = dict.fromkeys(name for name, _ in outcomes)
    of_name = {name: [outcome for other, outcome in outcomes if other == name] for name in names}
    parts = {
        "holds for": [name for name, several in of_name.items() if all(several)],
        "does not hold for": [name for name, several in of_name.items() if not any(several)],
        "holds only for some runs:": [name for name, several in of_name.items() if any(several) and not all(several)],
    }
    text = "; ".join(f"{how} {', '.join(map(_within, names))}" for how, names in parts.items() if names)
    return MIXED, f"{MIXED}: {text}"


def _within(name: str) -> str:
    """A name as it is written within a sentence.

    >>> _within("Holes between codes"), _within("FID-768"), _within("VAE: encoder")
    ('holes between codes', 'FID-768', 'VAE: encoder')
    """
    return name[:1].lower() + name[1:] if name[1:2].islower() and ":" not in name else name


def _compared(
    check: Check, runs: Sequence[ComparedRun], groups: Sequence[MetricTable]
) -> Iterator[tuple[str, MetricRow, bool | None]]:
    """Name, row and outcome of each pair of runs with both values; the outcome is None if they cannot be compared."""
    within_run = check.better[0] == check.worse[0]
    for figure, other_figure in _figures(check, groups):
        for number, run in enumerate(runs):
            for other_number, other_run in enumerate(runs):
                if run.family != check.better[0] or other_run.family != check.worse[0]:
                    continue
                if within_run and number != other_number:
                    continue
                value, limit = figure.values[number], other_figure.values[other_number]
                if value is None or limit is None:
                    continue
                comparable = within_run or (figure.comparable and other_figure.comparable)
                outcome = (
                    not figure.clearly_better(limit, value) if check.or_equal else figure.clearly_better(value, limit)
                )
                yield check.name or figure.name, figure, outcome if comparable else None


def _figures(check: Check, groups: Sequence[MetricTable]) -> list[tuple[MetricRow, MetricRow]]:
    """The pair of rows of a check. A key with a star gives all matching rows that have a value for every run."""
    if check.better[1].endswith(".*"):
        start = check.better[1].removesuffix("*")
        rows = [figure for group in groups for figure in group.figures if figure.key.startswith(start)]
        return [(figure, figure) for figure in rows if None not in figure.values]
    pair = find(groups, check.better[1]), find(groups, check.worse[1])
    return [(pair[0], pair[1])] if pair[0] and pair[1] else []
