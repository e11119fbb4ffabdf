"""What is commonly said of the three families, each as comparisons of figures, and what these runs say to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from framework.report.compare_page.compared_run import FAMILIES, ComparedRun
from framework.report.compare_page.metric_rows import PART_APART, SHARE_APART, Figure, Group, Missing, find

HOLDS, HOLDS_NOT, MIXED, UNMEASURED, UNJUDGED = (
    *("holds here", "does not hold here", "mixed", "not measured", "not judged"),
)
CLEARLY = (
    f"A figure is clearly better where it is so by more than {SHARE_APART:g} of a share or probability, and by more "
    f"than {PART_APART:.0%} of the larger value of anything else; what is closer counts as equal."
)


@dataclass(frozen=True)
class Check:
    """One comparison: a figure of one family ought to be clearly better than one of another family.

    Attributes:
        better: Family and key of a figure; a key that ends in `.*` stands for each figure that begins so.
        worse: What it ought to beat; of the same run where the family is the same.
        or_equal: Whether it is enough that it is not clearly worse.
        name: In words; none: the figure's own name.
    """

    better: tuple[str, str]
    worse: tuple[str, str]
    or_equal: bool = False
    name: str = ""


@dataclass(frozen=True)
class Claim:
    """A saying, and its rule.

    Attributes:
        text: What is said.
        rule: When it holds, in words.
        checks: The same as data: it holds where all that were measured do, does not where none does.
        groups: Whose missing figures would be needed.
        beside: Keys of figures that are shown and not judged.
    """

    text: str
    rule: str
    checks: tuple[Check, ...]
    groups: tuple[str, ...]
    beside: tuple[str, ...] = ()


def _vae_beats(*keys: str) -> tuple[Check, ...]:
    return tuple(Check(("vae", key), ("autoencoder", key)) for key in keys)


def _gan_beats(*keys: str) -> tuple[Check, ...]:
    return tuple(Check(("gan", key), (family, key)) for key in keys for family in ("autoencoder", "vae"))


def _rebuilds(family: str) -> tuple[Check, ...]:
    encoded, nearest = "photos.encoded_error", "photos.nearest_random_error"
    name = f"{FAMILIES[family]}: encoder below the nearest random sample"
    beside = f"{FAMILIES[family]}: encoder below a GAN’s gradient descent"
    return (
        Check((family, encoded), (family, nearest), name=name),
        Check((family, encoded), ("gan", "photos.pixel_error"), name=beside),
    )


_HOLES = ("hole_share.between_codes", "hole_share.prior_samples")
_PATHS = ("paths.lerp.ratio", "paths.lerp.largest_step")
CLAIMS = (
    Claim(
        "An autoencoder’s latent space has holes.",
        "Holds where an autoencoder has clearly more holes than a VAE both between codes and under the prior.",
        _vae_beats(*_HOLES),
        ("latent-space",),
    ),
    Claim(
        "An autoencoder does not interpolate well.",
        "Holds where a VAE is clearly surer midway, within a class and between classes, and ways of a VAE and of a GAN "
        "(straight ones) are clearly straighter and more even than an autoencoder’s.",
        (
            *_vae_beats("midpoint_confidence.within_class", "midpoint_confidence.between_classes", *_PATHS),
            *(Check(("gan", key), ("autoencoder", key)) for key in _PATHS),
        ),
        ("latent-space", "walks"),
    ),
    Claim(
        "A VAE’s latent space is continuous.",
        "Holds where neither between codes nor under the prior a VAE has clearly more holes than at the codes "
        "themselves. The KL says how far its codes are from the prior, and is not judged.",
        tuple(Check(("vae", key), ("vae", "hole_share.reconstructions"), or_equal=True) for key in _HOLES),
        ("latent-space",),
        ("aggregate_kl_nats",),
    ),
    Claim(
        "A GAN samples best.",
        "Holds where a GAN is clearly better than each other family in every Fréchet distance, precision, recall and "
        "coverage whose protocol all of these runs share.",
        _gan_beats("score.distance.*", "score.share.*"),
        ("scores",),
    ),
    Claim(
        "An autoencoder or VAE rebuilds images; a GAN has no encoder.",
        "Holds where a photograph through the encoder alone comes clearly nearer than the nearest of many random "
        "samples, and clearly nearer than a GAN by gradient descent.",
        (*_rebuilds("autoencoder"), *_rebuilds("vae")),
        ("photographs",),
    ),
)


@dataclass(frozen=True)
class JudgedClaim:
    """A claim as the page shows it.

    Attributes:
        claim: It.
        figures: The rows that it rests on.
        verdict: In words.
        kind: Which of the verdicts it is.
        missing: What would have to be made for the rest.
    """

    claim: Claim
    figures: list[Figure]
    verdict: str
    kind: str
    missing: list[Missing]


def judged_claims(runs: Sequence[ComparedRun], groups: Sequence[Group], *, same_data: bool) -> list[JudgedClaim]:
    """The claims that are about families among the runs, with figures where there are any."""
    there = {run.family for run in runs}
    return [
        _judged(claim, runs, groups, same_data=same_data)
        for claim in CLAIMS
        # About a family and others: without any pair of them it says nothing of these runs.
        if any({check.better[0], check.worse[0]} <= there for check in claim.checks if _is_main(claim, check))
    ]


def _is_main(claim: Claim, check: Check) -> bool:
    """Whether a check alone makes a claim one about these runs: of one run alone only where all its checks are so."""
    own = [one.better[0] == one.worse[0] for one in claim.checks]
    return all(own) or check.better[0] != check.worse[0]


def _judged(claim: Claim, runs: Sequence[ComparedRun], groups: Sequence[Group], *, same_data: bool) -> JudgedClaim:
    found = [one for check in claim.checks for one in _compared(check, runs, groups)]
    keys = dict.fromkeys(figure.key for _, figure, _ in found)
    more = [key for check in claim.checks for key in (check.better[1], check.worse[1])]
    shown = [figure for key in dict.fromkeys([*keys, *more, *claim.beside]) if (figure := find(groups, key))]
    missing = [missing for group in groups if group.key in claim.groups for missing in group.missing]
    outcomes = [(name, outcome) for name, _, outcome in found if outcome is not None]
    if not same_data and any(check.better[0] != check.worse[0] for check in claim.checks):
        return JudgedClaim(claim, shown, f"{UNJUDGED}: the runs are not of the same data", UNJUDGED, [])
    if outcomes:
        kind, verdict = _verdict(outcomes)
        return JudgedClaim(claim, shown, verdict, kind, missing)
    if found:
        return JudgedClaim(claim, shown, f"{UNJUDGED}: the figures were not measured alike", UNJUDGED, missing)
    why = "" if missing else ": no figure that these runs share"
    return JudgedClaim(claim, shown, f"{UNMEASURED}{why}", UNMEASURED, missing)


def _verdict(outcomes: Sequence[tuple[str, bool]]) -> tuple[str, str]:
    """All, none, or by name which."""
    if len({outcome for _, outcome in outcomes}) == 1:
        kind = HOLDS if outcomes[0][1] else HOLDS_NOT
        return kind, kind
    names = dict.fromkeys(name for name, _ in outcomes)
    of_name = {name: [outcome for one, outcome in outcomes if one == name] for name in names}
    parts = {
        "holds by": [name for name, several in of_name.items() if all(several)],
        "not by": [name for name, several in of_name.items() if not any(several)],
        "by some runs only:": [name for name, several in of_name.items() if any(several) and not all(several)],
    }
    told = "; ".join(f"{how} {', '.join(map(_within, names))}" for how, names in parts.items() if names)
    return MIXED, f"{MIXED}: {told}"


def _within(name: str) -> str:
    """A name within a sentence.

    >>> _within("Holes between codes"), _within("FID-768"), _within("VAE: encoder")
    ('holes between codes', 'FID-768', 'VAE: encoder')
    """
    return name[:1].lower() + name[1:] if name[1:2].islower() and ":" not in name else name


def _compared(
    check: Check, runs: Sequence[ComparedRun], groups: Sequence[Group]
) -> Iterator[tuple[str, Figure, bool | None]]:
    """Name, figure and outcome of each pair of runs that both have a value; None where these do not compare."""
    for figure, other in _figures(check, groups):
        for number, run in enumerate(runs):
            for beside, against in enumerate(runs):
                own = check.better[0] == check.worse[0]
                if run.family != check.better[0] or against.family != check.worse[0] or (own and number != beside):
                    continue
                value, limit = figure.values[number], other.values[beside]
                if value is None or limit is None:
                    continue
                comparable = own or (figure.comparable and other.comparable)
                outcome = (
                    not figure.clearly_better(limit, value) if check.or_equal else figure.clearly_better(value, limit)
                )
                yield check.name or figure.name, figure, outcome if comparable else None


def _figures(check: Check, groups: Sequence[Group]) -> list[tuple[Figure, Figure]]:
    """The pair of rows, or all that a key with a star stands for, as far as all runs have them."""
    if check.better[1].endswith(".*"):
        start = check.better[1].removesuffix("*")
        rows = [figure for group in groups for figure in group.figures if figure.key.startswith(start)]
        return [(figure, figure) for figure in rows if None not in figure.values]
    pair = find(groups, check.better[1]), find(groups, check.worse[1])
    return [(pair[0], pair[1])] if pair[0] and pair[1] else []
