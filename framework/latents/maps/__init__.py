"""Maps of latent codes: the plane in which they are drawn, the points that are decoded, and the picture."""
