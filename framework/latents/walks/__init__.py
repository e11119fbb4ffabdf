"""Interpolation between latents, and how smooth it is."""
