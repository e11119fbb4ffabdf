"""What lies in a run's folder: its experiment, its trials with their reports and scores, and who may write to it."""

from framework.runs.folder import RunFolder, TrialFolder, cache_folder

__all__ = ["RunFolder", "TrialFolder", "cache_folder"]
