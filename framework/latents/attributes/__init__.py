"""Attributes of samples: groups chosen by a classifier, expressions of groups, and shares that have one."""
