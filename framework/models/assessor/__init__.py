"""The assessor: a small classifier of attributes whose features also serve scores."""
