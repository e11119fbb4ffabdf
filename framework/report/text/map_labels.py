"""What figures of latent spaces and likelihoods are called, in a run's report and side by side."""

import re

# Key within a map's row -> name, and what it is.
MAP_FIGURES = {
    "knn_purity.latents": ("Neighbours of one class", "share of a code’s nearest others, by all its numbers"),
    "knn_purity.picture": ("Neighbours of one class as drawn", "share of a dot’s nearest others on the map"),
    "hole_share.reconstructions": ("Holes at the codes", "share of reconstructions that are unsure"),
    "hole_share.between_codes": ("Holes between codes", "share of points between two codes"),
    "hole_share.prior_samples": ("Holes under the prior", "share of random samples"),
    "midpoint_confidence.within_class": ("Sureness midway within a class", "mean probability"),
    "midpoint_confidence.between_classes": ("Sureness midway between classes", "mean probability"),
    "aggregate_kl_nats": ("KL of all codes from the prior", "nats, a lower bound"),
}
_NATS = {
    "elbo_nats": "ELBO",
    "reconstruction_nats": "Reconstruction",
    "kl_nats": "KL from the prior",
    "elbo_of_weighted_nats": "ELBO of the same images",
}
_WEIGHTED = re.compile(r"iw(\d+)_nats")


def nats_names(*keys: str) -> dict[str, str]:
    """Key -> name of the figures of a likelihood, as the job prints them; of weighted bounds those among `keys`.

    >>> list(nats_names("iw50_nats", "protocol").values())[3:]
    ['Importance-weighted bound, 50 codes an image', 'ELBO of the same images']
    """
    found = [(key, match) for key in keys if (match := _WEIGHTED.fullmatch(key))]
    weighted = {key: f"Importance-weighted bound, {match[1][:9]} codes an image" for key, match in found}
    last = "elbo_of_weighted_nats"
    return {key: name for key, name in _NATS.items() if key != last} | weighted | {last: _NATS[last]}
