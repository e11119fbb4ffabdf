"""From images to features: the extractors, their weights, and the resize before them."""
