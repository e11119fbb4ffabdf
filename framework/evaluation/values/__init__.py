"""Computes the values of metrics from features: features and moments are stored in files, parts computed by a pool."""
