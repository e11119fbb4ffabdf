"""Which metrics are asked for, and how they share passes over the images."""
