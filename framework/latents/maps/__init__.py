"""Maps of latent codes: the plane they are shown in, the points on it, and the picture."""
