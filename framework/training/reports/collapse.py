"""What a training does when it has collapsed (`training.on_collapse`): warn, stop, or go back to its best."""

from typing import Any

from framework.config import TrainingConfig
from framework.training.reports.checkpoints import Keeper
from framework.training.reports.health import Health
from framework.training.state import State

ENDED = "ended_by_collapse"
"""The note of a state with the reason why the training was ended."""
LR_FACTOR = 0.5
"""What a rewind multiplies the learning rates with."""


class CollapseResponse:
    """Acts on the signs of a collapse, at the same step and in the same way on all ranks and in each life.

    The notes of the state have the number of rewinds, the factor of the learning rates and the reason of the end.
    """

    def __init__(self, config: TrainingConfig, *, state: State, health: Health, kept: Keeper) -> None:
        self._config, self._state, self._health, self._kept = config, state, health, kept

    @property
    def acts(self) -> bool:
        """Whether anything but a warning follows."""
        return self._config.on_collapse != "warn"

    @property
    def ended(self) -> str | None:
        """Why the training was ended; None if it was not."""
        return self._state.notes.get(ENDED)

    def respond(self, reason: str, row: dict[str, Any]) -> str:
        """Rewinds or ends the training.

        Args:
            reason: The sign of the collapse, in words.
            row: The row of this report, which gets the columns of a rewind.

        Returns:
            What was done, in words.
        """
        state, config = self._state, self._config
        rewinds, best = state.notes.get("rewinds", 0), self._health.best_images_seen
        if config.on_collapse == "rewind" and rewinds == config.most_rewinds:
            reason += f"; {rewinds} rewinds did not help"
        elif config.on_collapse == "rewind":
            checkpoint = None if best is None else self._kept.at(best)
            if checkpoint is not None:
                state.rewind(checkpoint, lr_factor=LR_FACTOR)
                self._health.rewound(images_seen=state.images_seen)
                state.notes["rewinds"] = rewinds + 1
                row |= {"rewinds": rewinds + 1, "rewound_to_images_seen": best}
                row |= {f"{name}_lr": optimizer.param_groups[0]["lr"] for name, optimizer in state.optimizers().items()}
                how = f"{LR_FACTOR:g} times the learning rates, rewind {rewinds + 1} of {config.most_rewinds}"
                return f"{reason}; goes on with the weights of {best:,} images and {how}"
            reason += "; there is no scored checkpoint to go back to"
        state.notes[ENDED] = reason
        return f"{reason}; training.on_collapse={config.on_collapse} ends the training"
