"""The folder of a run: its experiment, its trials with their reports and scores, and the lock for writers."""

from framework.runs.folder import RunFolder, TrialFolder, cache_folder

__all__ = ["RunFolder", "TrialFolder", "cache_folder"]
