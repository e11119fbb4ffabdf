"""Walks between latents, and the smoothness of the images along them."""
