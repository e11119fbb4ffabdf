"""The named protocols: every combination of metric, number of samples, tap and resize.

`fid50k` is the usual FID: the 2048 features after Inception's last pool, 50,000 samples of latent seed 0, the resize
of TensorFlow in 2015, float32, and all training images as the reference. The ending `_768` selects the 768 features of
a middle layer, and the prefix `clean_` the resize of clean-fid.
"""

import difflib
import itertools
from dataclasses import dataclass
from typing import Literal

from framework.config.metrics import METRICS, MetricName
from framework.evaluation.protocols.score_name import score_name, short_count

# Each side biases a distance by about a constant divided by its number of images (Chong & Forsyth 2020). So the
# reference may be smaller than the samples only if its bias stays as small as theirs, or is small in itself, as it is
# from 10,000 images on. A data set of 5,000 images with the usual tenth held out must be enough for `fid5k_768`.
_LEAST_REAL = {50_000: 10_000, 10_000: 10_000, 5_000: 4_000, 1_000: 1_000}
_TAPS = (64, 192, 768, 2048)
_PLAIN_TAP = 2048


@dataclass(frozen=True)
class NamedProtocol:
    """Everything that a score depends on, except the images of the reference and the checkpoint.

    Attributes:
        name: Its name in `evaluation.metrics`.
        tap: The number of Inception's features.
        resize: How images are resized.
        samples: Number of generated images, of latent seed 0.
        least_real: The fewest real images that the reference may have; all its images are used.
    """

    name: str
    metric: MetricName
    tap: int
    resize: Literal["tensorflow2015", "clean"]
    samples: int
    least_real: int


def _every_protocol() -> dict[str, NamedProtocol]:
    protocols = {}
    for metric, tap, clean, samples in itertools.product(METRICS.values(), _TAPS, (False, True), _LEAST_REAL):
        if metric.name == "inception_score" and tap != _PLAIN_TAP:
            continue  # it needs class probabilities, which follow the last features
        whole = score_name(metric.name, features="inception", tap=tap, clean=clean, generated=samples)
        name = whole.removesuffix(f"_{_PLAIN_TAP}")
        resize = "clean" if clean else "tensorflow2015"
        protocols[name] = NamedProtocol(name, metric.name, tap, resize, samples, _LEAST_REAL[samples])
    return protocols


PROTOCOLS: dict[str, NamedProtocol] = _every_protocol()


def named_protocol(name: str) -> NamedProtocol | None:
    """The protocol of that name. The name of its scores, which also contains the tap 2048, is accepted too.

    >>> named_protocol("fid50k") == named_protocol("fid50k_2048"), named_protocol("fid5k_768").least_real
    (True, 4000)
    """
    return PROTOCOLS.get(name.removesuffix(f"_{_PLAIN_TAP}"))


def nearest_name(name: str) -> str | None:
    """The metric or protocol whose name is closest to a misspelled one; None if no name is close.

    >>> nearest_name("fdi50k"), nearest_name("fid50k_769"), nearest_name("kernel")
    ('fid50k', 'fid50k_768', None)
    """
    return next(iter(difflib.get_close_matches(name, [*METRICS, *PROTOCOLS], n=1, cutoff=0.65)), None)


def smaller_protocol(name: str, *, real: int) -> NamedProtocol | None:
    """The same protocol with fewer samples, for which `real` images are enough; None if they are not.

    >>> smaller_protocol("fid50k_768", real=4_476).name
    'fid5k_768'
    """
    protocol = PROTOCOLS[name]
    old = short_count(protocol.samples)
    others = [PROTOCOLS[name.replace(old, short_count(samples))] for samples in _LEAST_REAL]
    possible = [other for other in others if other.least_real <= real and other.samples < protocol.samples]
    return max(possible, key=lambda other: other.samples, default=None)
