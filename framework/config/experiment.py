"""One run's configuration: the keys, checked against each other, and the digest of what they teach a network."""

import hashlib
import json
from typing import Any, Self

from pydantic import model_validator

from framework.config.consistency import cross_field_faults
from framework.config.schema import ExperimentKeys


class Experiment(ExperimentKeys):
    """Everything about one run. Frozen; `framework.config.with_overrides` makes a changed copy."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = list(cross_field_faults(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def learned(self) -> dict[str, Any]:
        """Dotted key -> value of all that changes what is learned and is not at its default.

        The data's own keys are left out, but for the flip: its content digest stands for them.
        """
        found: dict[str, Any] = {} if self.seed == 0 else {"seed": self.seed}
        for section in ("model", "objective", "optimizer", "training"):
            found |= {f"{section}.{name}": value for name, value in getattr(self, section).changed().items()}
        if self.data.horizontal_flip:
            found["data.horizontal_flip"] = True
        return found

    def digest(self, data_digest: str) -> str:
        """sha256 over what is learned: the images' content digest and `learned()`."""
        document = {"data": data_digest, **self.learned()}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
