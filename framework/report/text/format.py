"""Numbers, times, scores and protocols as text for readers."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from framework.config.metrics import METRICS
from framework.config.schedule import in_short
from framework.metrics import higher_is_better
from framework.report.read.json_values import finite
from framework.report.text.ticks import short_number

_FRECHET = ("fid", "efficientnet_frechet_distance", "assessor_frechet_distance")
_NETWORKS = {
    "efficientnet-lite2": "EfficientNet-Lite2, a classifier of ImageNet’s classes",
    "assessor": "the assessor, an attribute classifier",
}


def number(value: Any, digits: int = 4) -> str:
    """A number with this many significant digits and thousands separators; a dash for anything else.

    >>> number(12.34567), number(128000), number(None), number(0.00021)
    ('12.35', '128,000', '–', '0.00021')
    """
    known = finite(value)
    if known is None:
        return "–"
    if abs(known) >= 10 ** (digits - 1) or known == int(known):
        return f"{known:,.0f}".replace("-", "−")
    return f"{known:.{digits}g}".replace("-", "−")


def score(value: Any) -> str:
    """A score with four significant digits, trailing zeros included, so that the scores of a column line up.

    >>> score(21.0), score(1234.5), score(0.5)
    ('21.00', '1,234', '0.5000')
    """
    known = finite(value)
    if known is None:
        return "–"
    return (f"{known:#.4g}" if abs(known) < 1000 else f"{known:,.0f}").replace("-", "−")


def share(value: Any) -> str:
    """A share as a percentage.

    >>> share(0.874), share(None)
    ('87%', '–')
    """
    known = finite(value)
    return "–" if known is None else f"{100 * known:.0f}%"


def signed(value: Any) -> str:
    """A number with its sign and two decimals.

    >>> signed(3.8712), signed(-0.4), signed(0.001), signed(-12_345.6), signed(None)
    ('+3.87', '−0.40', '0.00', '−1.23e+04', '–')
    """
    known = finite(value)
    if known is None:
        return "–"
    text = f"{known:+.2f}" if abs(known) < 1000 else f"{known:+.3g}"
    return text.replace("-", "−") if float(text) else "0.00"


def duration(started: Any, ended: Any) -> str:
    """The duration between two ISO times.

    >>> duration("2026-01-01T10:00:00+00:00", "2026-01-01T11:02:40+00:00")
    '1 h 3 min'
    >>> duration("2026-01-01T10:00:00+00:00", "2026-01-01T10:00:40+00:00")
    '40 s'
    """
    begin, end = _time(started), _time(ended)
    if begin is None or end is None or (begin.tzinfo is None) != (end.tzinfo is None):
        return ""
    seconds = (end - begin).total_seconds()
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(value: Any) -> str:
    """An ISO time in words; any other text is unchanged.

    >>> moment("2026-03-01T14:05:09+00:00")
    '1 March 2026, 14:05 UTC'
    """
    time = _time(value)
    if time is None:
        return str(value or "")
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or ''}".strip()


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


def model_name(kind: str) -> str:
    """The name of a run's networks in a sentence.

    >>> model_name("dcgan"), model_name("autoencoder"), model_name("skip")
    ('DCGAN', 'an autoencoder', 'the GAN “skip”')
    """
    named = {"dcgan": "DCGAN", "vae": "a VAE", "autoencoder": "an autoencoder", "keras": "a GAN that Keras saved"}
    return named.get(kind, f"the GAN “{kind}”")


def metric_name(metric: str) -> str:
    """A metric's name for a heading.

    >>> metric_name("fid5k_768"), metric_name("assessor_frechet_distance"), metric_name("clean_kid50k_2048")
    ('FID-768', 'Assessor Fréchet distance', 'Clean KID-2048')
    >>> metric_name("efficientnet_recall"), metric_name("efficientnet_frechet_distance_infinity")
    ('EfficientNet recall', 'EfficientNet Fréchet distance infinity')
    >>> metric_name("recall5k_768"), metric_name("fid_infinity5k_64"), metric_name("inception_score50k")
    ('Recall-768', 'FID∞-64', 'Inception score')
    >>> metric_name("fid5k_768_psi0_7"), metric_name("efficientnet_recall_psi2")
    ('FID-768 at ψ 0.7', 'EfficientNet recall at ψ 2')
    """
    scaled = truncation_of(metric)
    if scaled is not None:
        return f"{metric_name(metric.rpartition('_psi')[0])} at ψ {scaled}"
    known = re.fullmatch(r"(clean_)?(fid|kid)(_infinity)?[0-9.]*[km]?(?:_(\w+))?", metric)
    if known:
        clean, family, infinity, tap = known.groups()
        name = f"{family.upper()}{'∞' if infinity else ''}{f'-{tap}' if tap else ''}"
        return f"Clean {name}" if clean else name
    counted = re.fullmatch(r"((?:clean_)?[a-z_]+?)[0-9.]+[km]?(?:_(\w+))?", metric)
    if counted:
        metric = f"{counted[1]}{f'-{counted[2]}' if counted[2] else ''}"
    name = metric.replace("_", " ").replace("frechet", "Fréchet").replace("efficientnet", "EfficientNet")
    return name[:1].upper() + name[1:]


def truncation_of(metric: str) -> str | None:
    """The truncation in the name of a score; None if it is 1, which no name has.

    >>> truncation_of("fid5k_768_psi0_75"), truncation_of("fid5k_768")
    ('0.75', None)
    """
    scaled = re.search(r"_psi([0-9]+(?:_[0-9]+)?)$", metric)
    return scaled[1].replace("_", ".") if scaled else None


def is_frechet_distance(metric: str) -> bool:
    """Whether a metric is a Fréchet distance.

    >>> is_frechet_distance("fid5k_768"), is_frechet_distance("kid5k_768")
    (True, False)
    >>> is_frechet_distance("efficientnet_frechet_distance"), is_frechet_distance("assessor_kernel_distance")
    (True, False)
    >>> is_frechet_distance("function_embed_frechet_distance")
    True
    """
    plain = metric if truncation_of(metric) is None else metric.rpartition("_psi")[0]
    own = re.fullmatch(r"(function|file)_[a-z0-9]+_frechet_distance", plain)  # features of the user's
    return own is not None or re.match(r"(clean_)?fid[0-9]", plain) is not None or plain in _FRECHET


def better(metric: str) -> str:
    """Whether a higher or a lower value of a metric is better, for a caption.

    >>> better("fid5k_768"), better("precision5k_768")
    ('lower is better', 'higher is better')
    """
    return "higher is better" if higher_is_better(metric) else "lower is better"


def score_in_words(score: Mapping[str, Any]) -> str:
    """One sentence on what a score means and how many images it was computed on."""
    metric, protocol = str(score.get("metric")), score.get("protocol")
    protocol = protocol if isinstance(protocol, Mapping) else {}
    counts = images_in_words(protocol)
    if is_frechet_distance(metric):
        features = f" ({_features(protocol)})" if _features(protocol) else ""
        return f"{METRICS['fid'].about}{features}{f', {counts}' if counts else ''}; {better(metric)}."
    if metric == "latent_arithmetic_share":
        return (
            f"Share of {plain(protocol.get('repeats'))} results of {plain(protocol.get('expression'))} that are "
            f"recognised as {plain(protocol.get('shows'))}, compared with {share(protocol.get('random_share'))} of "
            f"random samples; {better(metric)}."
        )
    if metric == "augmentation_leak":
        operations = protocol.get("operations")
        names = ", ".join(map(plain, operations)) if isinstance(operations, list) else ""
        return (
            f"Share of samples that a small classifier takes for augmented ({names}), less that of real images without "
            f"augmentation; 0 is best, above 0.05 augmentations seem to leak into samples."
        )
    family = str(protocol.get("family"))
    if family in METRICS:
        return f"{METRICS[family].about}{f', {counts}' if counts else ''}; {better(metric)}."
    return f"{counts[:1].upper()}{counts[1:]}; {better(metric)}." if counts else f"See its protocol; {better(metric)}."


def images_in_words(protocol: Mapping[str, Any]) -> str:
    """How many images a score was computed on; empty if its protocol does not say."""
    real, fake = (protocol.get(side) for side in ("real", "fake"))
    if not isinstance(real, Mapping) or not isinstance(fake, Mapping):
        return ""
    scored = "generated" if fake.get("split") == "generated" else "scored"
    return f"{number(fake.get('count'), 9)} {scored} and {number(real.get('count'), 9)} real images"


def _features(protocol: Mapping[str, Any]) -> str:
    features = protocol.get("features")
    if not isinstance(features, Mapping):
        return ""
    tap, name = number(protocol.get("tap"), 9), features.get("name")
    return f"{tap} features of {_NETWORKS.get(str(name), name)}"


def setting(value: Any) -> str:
    """A searched value, short enough for a table.

    >>> setting(0.00043347), setting(64), setting(None), setting([])
    ('4.33e−4', '64', '–', 'none')
    """
    if value == []:
        return "none"
    return short_number(float(f"{value:.3g}")) if isinstance(value, float) and abs(value) < 1000 else plain(value)


def plain(value: Any) -> str:
    """Any value of JSON or YAML on one line.

    >>> plain({"lr": {"loguniform": [1e-4, 1e-3]}}), plain(["glasses", "hat"]), plain(8000)
    ('lr: {loguniform: [0.0001, 0.001]}', 'glasses, hat', '8,000')
    >>> plain({"from": 2e-4, "to": 5e-5, "over": 200_000})
    '0.0002 to 5e-05 over 200,000'
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return in_short(value) or ", ".join(f"{name}: {_within(part)}" for name, part in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(_within(part) for part in value) or "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def shortened(text: str, most: int) -> str:
    """A text, cut to at most this many characters.

    >>> shortened("translation, cutout", 12), shortened("cutout", 12)
    ('translation…', 'cutout')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _within(value: Any) -> str:
    """A value inside another one, with brackets, which the outermost value does not have."""
    if isinstance(value, Mapping):
        return f"{{{plain(value)}}}"
    return f"[{plain(value)}]" if isinstance(value, (list, tuple)) else plain(value)
