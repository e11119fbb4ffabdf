"""The assessor: a small attribute classifier, whose features are also used for scores."""
