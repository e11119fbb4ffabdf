"""A run's configuration: its keys, checked against each other, and the digest of those that change what is learned."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from framework.config.consistency import cross_field_faults
from framework.config.schema import ExperimentKeys


class Experiment(ExperimentKeys):
    """The configuration of one run. Frozen; `framework.config.with_overrides` makes a changed copy."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = list(cross_field_faults(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def gamma(self, name: str) -> float | Mapping[str, Any]:
        """The weight of a gradient penalty, or its schedule, from `r1_gamma` or `r2_gamma`.

        `auto` is 0.0002 · resolution² / batch_size, the rule of StyleGAN2-ADA's training (Karras et al. 2020).
        """
        value = getattr(self.objective, name)
        return 0.0002 * self.data.resolution**2 / self.training.batch_size if value == "auto" else value

    def learned(self) -> dict[str, Any]:
        """Dotted key -> value of each key that changes what is learned and is not at its default.

        The keys of `data` are left out, except `horizontal_flip`: the content digest of the images covers them.
        """
        values: dict[str, Any] = {} if self.seed == 0 else {"seed": self.seed}
        for section in ("model", "objective", "optimizer", "training"):
            values |= {f"{section}.{name}": value for name, value in getattr(self, section).changed().items()}
        if self.data.horizontal_flip:
            values["data.horizontal_flip"] = True
        return values

    def digest(self, data_digest: str) -> str:
        """sha256 over the images' content digest and `learned()`."""
        document = {"data": data_digest, **self.learned()}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
