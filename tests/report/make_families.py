"""Makes three small runs, a GAN, an autoencoder and a VAE of the same digits, whose every figure is known.

python tests/report/make_families.py DESTINATION
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from framework.config import experiment_from_text, with_overrides
from framework.images import grid, png_bytes
from framework.runs import RunFolder

DATA = {"source": "mnist", "training": 60_000, "held_out": 10_000, "digest": "d161" * 16}
ASSESSOR = "a55e" * 16
HOLES = {
    "autoencoder": {"reconstructions": 0.05, "between_codes": 0.31, "prior_samples": 0.42},
    "vae": {"reconstructions": 0.08, "between_codes": 0.12, "prior_samples": 0.09},
}
MIDWAY = {
    "autoencoder": {"within_class": 0.90, "between_classes": 0.70},
    "vae": {"within_class": 0.97, "between_classes": 0.71},
}
PATHS = {
    "gan": {"lerp": (1.9, 2.1), "slerp": (1.8, 2.0)},
    "autoencoder": {"lerp": (2.5, 3.0), "slerp": (2.6, 3.1)},
    "vae": {"lerp": (2.0, 2.45), "slerp": (2.1, 2.5)},
}
FID, RECALL = {"gan": 9.0, "autoencoder": 40.0, "vae": 25.0}, {"gan": 0.40, "autoencoder": 0.41, "vae": 0.60}
# Of each of three photographs: by gradient descent, through the encoder.
PHOTOS = {
    "gan": [(30.0, None), (34.0, None), (50.0, None)],
    "autoencoder": [(10.0, 20.0), (12.0, 22.0), (14.0, 30.0)],
    "vae": [(15.0, 25.0), (16.0, 26.0), (17.0, 27.0)],
}
FAMILIES = tuple(FID)


def make_families(destination: Path, *, names: dict[str, str] | None = None) -> dict[str, Path]:
    """Writes them; family -> run's folder.

    Args:
        destination: Where the runs' folders are made.
        names: Family -> the run's name, where it is not the family's.
    """
    names = dict(zip(FAMILIES, FAMILIES, strict=True)) | (names or {})
    runs = {family: destination / name for family, name in names.items()}
    for family, run in runs.items():
        _write_run(run, family)
    edit(runs["autoencoder"] / "artifacts" / "latent_map.json", _map(runs))
    _write_picture(runs["autoencoder"] / "artifacts" / "latent_map.png", seed=9)
    return runs


def edit(path: Path, change: Any) -> None:
    """Replaces a JSON file; a function is given what is there and changes it."""
    document = change
    if callable(change):
        document = json.loads(path.read_text())
        change(document)
    path.write_text(json.dumps(document))


def _write_run(place: Path, family: str) -> None:
    checkpoint = "trials/000/checkpoints/000000600000"
    model = {"family": family, "width": 8, "latent_size": 4} | ({"architecture": "dcgan"} if family == "gan" else {})
    document = {"name": family, "data": {"source": "mnist", "resolution": 28, "channels": 1}, "model": model}
    experiment = experiment_from_text(json.dumps(document), source="make_families")  # JSON is YAML
    experiment = with_overrides(experiment, {"storage.path": str(place.parent)})
    run = RunFolder.create(experiment, ["python", "-m", "jobs.pipeline", "configs/mnist.yaml"], data=DATA)
    run.folder.write_json(f"{checkpoint}/generator/config.json", {"weights_sha256": generator(family)})
    run.trial("000").write_params({})
    run.write_best({"trial": "000", "checkpoint": checkpoint, "images_seen": 600_000, "score": None})
    scores = [_score("fid5k_768", FID[family]), _score("recall5k_768", RECALL[family], family="recall")]
    run.add_scores([{**score, "checkpoint": checkpoint} for score in scores])
    about = {"checkpoint": checkpoint, "generator": generator(family)}
    for name, document in _artifacts(family).items():
        run.artifacts.write_json(name, {**about, **document})
    Path(run.folder.location).rename(place)  # a folder may have a name that no experiment may
    for seed, name in enumerate(("samples", "interpolation", "arithmetic", "projected")):
        _write_picture(place / "artifacts" / f"{name}.png", seed=seed)


def generator(family: str) -> str:
    """Digest of its weights."""
    return family.encode().hex().ljust(64, "0")


def _score(metric: str, value: float, **more: Any) -> dict[str, Any]:
    sides = {"real": {"count": 60_000, "split": "training"}, "fake": {"count": 5_000, "split": "generated"}}
    features = {"name": "inception-2015-12-05"}
    protocol = {"name": metric, **more, "features": features, "tap": 768, **sides}
    return {"metric": metric, "value": value, "protocol": protocol}


def _artifacts(family: str) -> dict[str, Any]:
    ways = {way: dict(zip(("ratio", "largest_step"), pair, strict=True)) for way, pair in PATHS[family].items()}
    measured = {"attribute": "3", "share": 0.6, "interval": [0.5, 0.69], "random_share": 0.1, "repeats": 100}
    paths = {"pairs": 50, "steps": 65, "features": "measurer", **ways}
    found: dict[str, Any] = {
        "interpolation.json": {"assessor": ASSESSOR, "paths": paths},
        "arithmetic.json": {"expression": "3 - 8 + 5", "measured": [measured]},
        "projections.json": {"features": "pixels", "starts": 4, "steps": 300, "photos": _photos(family)},
    }
    if family == "vae":
        nats = {"elbo_nats": -97.5, "reconstruction_nats": -73.0, "kl_nats": 24.5, "iw500_nats": -88.25}
        found["likelihood.json"] = {"protocol": {"seed": 0}, **nats, "standard_errors": {"elbo_nats": 0.25}}
    return found


def _photos(family: str) -> list[dict[str, Any]]:
    return [
        {"name": f"held_out_{number}", "pixel_error": error, "encoded_error": encoded,
         "nearest_random_error": 60.0 + number, "random_error": 90.0}
        for number, (error, encoded) in enumerate(PHOTOS[family], start=1)
    ]  # fmt: skip


def _map(runs: dict[str, Path]) -> dict[str, Any]:
    rows = [
        {
            "run": runs[family].name, "generator": generator(family), "family": family, "knn_purity": {"latents": 0.9},
            "hole_share": HOLES[family], "midpoint_confidence": MIDWAY[family], "aggregate_kl_nats": 0.5,
        }
        for family in HOLES
    ]  # fmt: skip
    protocol = {
        "images": {"count": 10_000}, "classifier": {"metric": "accuracy", "value": 0.99}, "sure_from": 0.9,
        "chance_purity": 0.1,
    }  # fmt: skip
    return {"protocol": protocol, "maps": copy.deepcopy(rows), "hole_share_of_images": 0.01}


def _write_picture(path: Path, *, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (12, 28, 28, 3), dtype=np.uint8)
    path.write_bytes(png_bytes(grid(images, columns=12 if seed else 4)))


if __name__ == "__main__":
    print(*make_families(Path(sys.argv[1])).values())
