"""The errors that users see: each is one line that names the place, the value and what is allowed."""

_MOST_REASON_CHARACTERS = 200


class LatentscapeError(Exception):
    """An error that the user can solve. Jobs print it as one line per fault and exit with status 2."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))

    def __reduce__(self) -> tuple[type["LatentscapeError"], tuple[str, ...]]:
        return type(self), self.faults


class ConfigError(LatentscapeError):
    """A key, a value, or a combination of values that is not allowed; each line names the dotted key."""


class DataError(LatentscapeError):
    """Images or labels that cannot be used."""


class StorageError(LatentscapeError):
    """A path or URI that cannot be reached, read or written."""


class CheckpointError(LatentscapeError):
    """A checkpoint that is missing or damaged, or that belongs to another experiment."""


class EvaluationError(LatentscapeError):
    """A score that cannot be computed by its protocol."""


class LatentsError(LatentscapeError):
    """Latents, groups or expressions that a latent study cannot use."""


class TrainingError(LatentscapeError):
    """A training that cannot continue; the message has the step and the cause, if they are known."""


class OutOfMemoryError(TrainingError):
    """A training that needs more memory than its device has; a restart would not help."""


class ClusterError(LatentscapeError):
    """A Ray cluster that cannot be reached, or is too small for the plan."""


class LeaseError(LatentscapeError):
    """A run that another job is writing to."""


class ClusterLostError(LatentscapeError):
    """The connection to the Ray cluster was lost during a job. Jobs exit with status 1; the same command resumes."""


def reason_of(fault: BaseException) -> str:
    r"""What an error of another library says, in one line of at most 200 characters: it may quote a damaged file.

    >>> reason_of(ValueError("a\n  b" + "x" * 1000))[:5], reason_of(EOFError())
    ('a bxx', 'EOFError')
    """
    return " ".join(str(fault).split())[:_MOST_REASON_CHARACTERS] or type(fault).__name__
