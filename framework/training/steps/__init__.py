"""The training step of each model family, and what it computes with."""
