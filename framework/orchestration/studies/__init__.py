"""Latent studies of one checkpoint, one module a job."""
