"""Feature extractors, their weights, and the resizing of images before them."""
