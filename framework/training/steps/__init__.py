"""The training step of each model family, with random numbers, augmentations and objectives."""
