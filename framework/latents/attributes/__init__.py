"""Attributes of samples: groups chosen by a classifier, expressions of groups, and the shares that have an attribute."""
