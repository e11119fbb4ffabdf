"""What can go wrong, for people: each error is one line that names the place, the value and the rule."""


class LatentscapeError(Exception):
    """A fault that its user can mend. Jobs print it as one line and exit with 2."""


class ConfigError(LatentscapeError):
    """A key, a value or a combination of them that the schema refuses.

    Args:
        faults: One line each, every one naming its dotted key.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class DataError(LatentscapeError):
    """Images or labels that cannot be used."""


class StorageError(LatentscapeError):
    """A path or URI that cannot be reached, read or written."""


class CheckpointError(LatentscapeError):
    """A checkpoint that is missing, damaged, or of another experiment."""


class EvaluationError(LatentscapeError):
    """A score that cannot be computed as its protocol says."""


class LatentsError(LatentscapeError):
    """Latents, groups or expressions that a latent study cannot use."""


class TrainingError(LatentscapeError):
    """A training that cannot go on, with its step and its cause as far as known."""


class OutOfMemoryError(TrainingError):
    """A training that its device's memory does not hold; a restart would not mend that."""


class ClusterError(LatentscapeError):
    """A Ray cluster that cannot be reached or cannot hold the plan."""


class LeaseError(LatentscapeError):
    """A run that another job is writing to."""


class ClusterLostError(LatentscapeError):
    """A Ray cluster that went while a job was at work on it. Jobs exit with 1, and the same command goes on."""
