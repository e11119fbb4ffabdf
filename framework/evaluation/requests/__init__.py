"""The requested scores, and how they share passes over the images."""
