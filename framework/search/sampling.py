"""Samplers, which propose the next setting: seeded random draws, or Optuna's model of the earlier trials."""

import warnings
from typing import TYPE_CHECKING, Any, Protocol

from framework.config import Experiment
from framework.search.registry import TrialRecord, TrialRegistry
from framework.search.space import rounded, settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


_SEEDS_APART = 100_003  # so that searches with neighbouring seeds do not share seeds of proposals


class Sampler(Protocol):
    """Proposes settings one after the other."""

    def propose(self, number: int, registry: TrialRegistry) -> dict[str, Any]:
        """The parameters of trial `number`, counted from 0, given the results of earlier trials."""
        ...


class RandomSampler:
    """Seeded draws and grids of the space, independent of the results of other trials.

    Args:
        experiment: Its `search` section defines the space, the number of trials and the seed.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._settings = settings(experiment)

    def propose(self, number: int, registry: TrialRegistry) -> dict[str, Any]:  # noqa: ARG002
        """The parameters of trial `number`, counted from 0."""
        return self._settings[number].parameters


class OptunaSampler:
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), over all keys together.

    No state is kept between proposals: each is computed from the trial registry, so a search that was killed proposes
    the same as before. Running trials count as bad ones, so that concurrent trials do not try the same settings.

    Args:
        experiment: Its `search` section defines the space and the seed.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._keys = {key: _Key(spec) for key, spec in experiment.search.space.items()}
        self._seed = experiment.search.seed

    def propose(self, number: int, registry: TrialRegistry) -> dict[str, Any]:
        """The parameters of trial `number`, counted from 0, given the results of earlier trials."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions = {name: key.distribution for name, key in self._keys.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=self._seed * _SEEDS_APART + number, multivariate=True, constant_liar=True
            )
            study = optuna.create_study(direction="minimize", sampler=sampler)
            study.add_trials(
                [self._as_optuna_trial(record, distributions) for record in registry.settings() if self._fits(record)]
            )
            trial = study.ask(distributions)
        return {key: self._keys[key].value(drawn) for key, drawn in trial.params.items()}

    def _fits(self, record: TrialRecord) -> bool:
        """Whether a trial lies in this space; the search may have started with another space."""
        return set(record.parameters) == set(self._keys) and all(
            key.holds(record.parameters[name]) for name, key in self._keys.items()
        )

    def _as_optuna_trial(self, record: TrialRecord, distributions: "dict[str, BaseDistribution]") -> "FrozenTrial":
        from optuna.trial import TrialState, create_trial

        state, value = TrialState.RUNNING, None
        if record.ended:
            state, value = (TrialState.FAIL, None) if record.best is None else (TrialState.COMPLETE, record.best)
        parameters = {name: key.drawn(record.parameters[name]) for name, key in self._keys.items()}
        return create_trial(state=state, value=value, params=parameters, distributions=distributions)


class _Key:
    """One key of the space, translated for Optuna: a choice by its position, because its values may be lists."""

    def __init__(self, spec: dict[str, Any]) -> None:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        self._name, self._arguments = next(iter(spec.items()))
        self.distribution: BaseDistribution
        if self._name == "choice":
            self.distribution = CategoricalDistribution(tuple(range(len(self._arguments))))
        elif self._name == "randint":
            self.distribution = IntDistribution(self._arguments[0], self._arguments[1] - 1)
        else:
            self.distribution = FloatDistribution(*self._arguments, log=self._name == "loguniform")

    def holds(self, value: Any) -> bool:
        """Whether this key can have the value."""
        if self._name == "choice":
            return value in self._arguments
        return isinstance(value, (int, float)) and self._arguments[0] <= value <= self._arguments[1]

    def drawn(self, value: Any) -> Any:
        """A value of this key, translated for Optuna."""
        return self._arguments.index(value) if self._name == "choice" else value

    def value(self, drawn: Any) -> Any:
        """The value of this key for a value that Optuna drew."""
        if self._name == "choice":
            return self._arguments[drawn]
        return rounded(drawn) if self._name == "loguniform" else drawn


def sampler_of(experiment: Experiment) -> Sampler:
    """The sampler that `search.sampler` selects."""
    return OptunaSampler(experiment) if experiment.search.sampler == "optuna" else RandomSampler(experiment)
