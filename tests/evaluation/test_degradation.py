"""Two halves of real faces lie close; blur, noise, JPEG and mode dropping move them apart, more the more there is."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageFilter

from framework.evaluation.features.extractor import FeatureSpec, build_extractor
from framework.evaluation.features.weights import read_weights
from framework.metrics import Moments, frechet_distance, kernel_distance, manifold_scores, relative_diversity


def blurred(images, radius):
    return np.stack([np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(radius))) for x in images])


def noisy(images, sd):
    noise = np.random.default_rng(0).normal(0, sd, size=images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def compressed(images, quality):
    found = []
    for image in images:
        Image.fromarray(image).save(file := io.BytesIO(), "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file)))
    return np.stack(found)


def dropped(images, kept):
    """As many images, of which only a share differ."""
    return images[np.arange(len(images)) % max(2, round(kept * len(images)))]


WAYS = {
    "blur": (blurred, (1.6, 2.4, 3.2)),
    "noise": (noisy, (10, 25, 60)),
    "jpeg": (compressed, (20, 10, 5)),
    "mode dropping": (dropped, (0.5, 0.2, 0.05)),
}


def scores(real, fake):
    """Of features; better or worse as the names say."""
    size = min(len(real), len(fake)) // 2
    found = {
        "fid": frechet_distance(Moments.of(real), Moments.of(fake)),
        "kid": kernel_distance(real, fake, subsets=20, subset_size=size).mean,
        "diversity": relative_diversity(Moments.of(real), Moments.of(fake)),
    }
    return found | manifold_scores(real, fake)


def measured(read_faces, inception_file, *, count, tap):
    """way -> scores of the other half as it is, then more and more degraded."""
    extract = build_extractor(FeatureSpec("inception", str(inception_file), read_weights(inception_file)[1], tap))
    faces = read_faces(2 * count)
    order = np.random.default_rng(0).permutation(len(faces))  # names begin with the age
    real, other = faces[order[:count]], faces[order[count:]]
    reference, whole = extract(real), extract(other)
    clean = scores(reference, whole)
    return {
        way: [clean, *(scores(reference, extract(degrade(other, level))) for level in levels)]
        for way, (degrade, levels) in WAYS.items()
    }


def rises(values):
    return all(a < b for a, b in itertools.pairwise(values))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_metric_tells_what_it_is_for(read_faces, inception_file):
    found = measured(read_faces, inception_file, count=400, tap=768)
    for way, steps in found.items():
        table = {metric: [step[metric] for step in steps] for metric in steps[0]}
        for metric, values in table.items():
            print(f"{way:<14} {metric:<10} " + "  ".join(f"{value:10.4g}" for value in values))
        assert rises(table["fid"]), (way, table["fid"])
        assert rises(table["kid"]), (way, table["kid"])
        # What samples look like costs precision, and what they leave out costs recall. A first trace of either is lost
        # in the halves' own scatter, and both end at a floor: noise of 25 levels leaves next to nothing to lose.
        for fallen in ("coverage", "recall" if way == "mode dropping" else "precision"):
            clean, first, second, last = table[fallen]
            assert max(second, last) < 0.9 * clean, (way, fallen, table[fallen])
            if fallen == "coverage":
                assert clean > first > second >= last, (way, fallen, table[fallen])
            else:
                assert max(second, last) < 0.6 * clean, (way, fallen, table[fallen])
    clean = found["blur"][0]
    assert clean["fid"] < 0.4 * min(steps[-1]["fid"] for steps in found.values())
    assert abs(clean["kid"]) < 1e-3
    assert clean["diversity"] == pytest.approx(1, abs=0.1)
