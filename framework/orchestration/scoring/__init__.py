"""Scores of checkpoints and of two sets of images, computed by a pool."""
