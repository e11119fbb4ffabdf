"""The names of measurements of latent spaces and likelihoods, on the page of a run and on the compare page."""

import re

# Key within a map's row -> name and explanation.
MAP_FIGURES = {
    "knn_purity.latents": ("Neighbours of the same class", "share of a code’s nearest neighbours in the latent space"),
    "knn_purity.picture": ("Neighbours of the same class as drawn", "share of a dot’s nearest neighbours on the map"),
    "hole_share.reconstructions": ("Holes at the codes", "share of reconstructions without a clear class"),
    "hole_share.between_codes": ("Holes between codes", "share of points between two codes"),
    "hole_share.prior_samples": ("Holes under the prior", "share of random samples"),
    "midpoint_confidence.within_class": ("Confidence midway within a class", "mean probability"),
    "midpoint_confidence.between_classes": ("Confidence midway between classes", "mean probability"),
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
    """Key -> name of the values of a likelihood, in the order of the page; `keys` selects the weighted bounds.

    >>> list(nats_names("iw50_nats", "protocol").values())[3:]
    ['Importance-weighted bound, 50 codes per image', 'ELBO of the same images']
    """
    matches = [(key, match) for key in keys if (match := _WEIGHTED.fullmatch(key))]
    weighted = {key: f"Importance-weighted bound, {match[1][:9]} codes per image" for key, match in matches}
    last = "elbo_of_weighted_nats"
    return {key: name for key, name in _NATS.items() if key != last} | weighted | {last: _NATS[last]}
