"""The protocols that have a name: every metric, count, tap and resize, each as data.

`fid50k` is the field's own: the 2048 features behind Inception's last pool, 50,000 samples of latent seed 0, the resize
of TensorFlow in 2015, float32, and all training images as the reference. `_768` takes the features of the middle,
`clean_` resizes as clean-fid does.
"""

import difflib
import itertools
from dataclasses import dataclass
from typing import Literal

from framework.config.metrics import METRICS, MetricName
from framework.evaluation.protocols.score_name import score_name, short_count

# A distance is biased by about its slope over n on each side (Chong & Forsyth 2020). So the reference may be smaller
# than the samples only where its own share of the bias stays of their size, or is small by itself: from 10,000 images
# on; and a data set of 5,000 whose usual tenth is held out has to serve for `fid5k_768`.
_LEAST_REAL = {50_000: 10_000, 10_000: 10_000, 5_000: 4_000, 1_000: 1_000}
_TAPS = (64, 192, 768, 2048)
_PLAIN_TAP = 2048


@dataclass(frozen=True)
class NamedProtocol:
    """What a protocol fixes beside the reference's content and the checkpoint.

    Attributes:
        name: As `evaluation.metrics` says it.
        metric: What is computed.
        tap: Inception's features.
        resize: What happens to an image's size before.
        samples: Generated images, of latent seed 0.
        least_real: Real images that the reference has at least; all of them are taken.
    """

    name: str
    metric: MetricName
    tap: int
    resize: Literal["tensorflow2015", "clean"]
    samples: int
    least_real: int


def _every_protocol() -> dict[str, NamedProtocol]:
    found = {}
    for metric, tap, clean, samples in itertools.product(METRICS.values(), _TAPS, (False, True), _LEAST_REAL):
        if metric.name == "inception_score" and tap != _PLAIN_TAP:
            continue  # its classes are those behind the last features
        whole = score_name(metric.name, kind="inception", tap=tap, clean=clean, generated=samples)
        name = whole.removesuffix(f"_{_PLAIN_TAP}")
        resize = "clean" if clean else "tensorflow2015"
        found[name] = NamedProtocol(name, metric.name, tap, resize, samples, _LEAST_REAL[samples])
    return found


PROTOCOLS: dict[str, NamedProtocol] = _every_protocol()


def named_protocol(name: str) -> NamedProtocol | None:
    """The protocol of that name; the name of its scores, which says 2048 too, is as good.

    >>> named_protocol("fid50k") == named_protocol("fid50k_2048"), named_protocol("fid5k_768").least_real
    (True, 4000)
    """
    return PROTOCOLS.get(name.removesuffix(f"_{_PLAIN_TAP}"))


def nearest_name(name: str) -> str | None:
    """The metric or protocol that someone may have meant.

    >>> nearest_name("fdi50k"), nearest_name("fid50k_769"), nearest_name("kernel")
    ('fid50k', 'fid50k_768', None)
    """
    return next(iter(difflib.get_close_matches(name, [*METRICS, *PROTOCOLS], n=1, cutoff=0.65)), None)


def smaller_protocol(name: str, *, real: int) -> NamedProtocol | None:
    """The same with the most samples for which so many real images are enough.

    >>> smaller_protocol("fid50k_768", real=4_476).name
    'fid5k_768'
    """
    protocol = PROTOCOLS[name]
    old = short_count(protocol.samples)
    others = [PROTOCOLS[name.replace(old, short_count(samples))] for samples in _LEAST_REAL]
    fitting = [other for other in others if other.least_real <= real and other.samples < protocol.samples]
    return max(fitting, key=lambda other: other.samples, default=None)
