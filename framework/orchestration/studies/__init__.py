"""Latent studies of a checkpoint; one module per job."""
