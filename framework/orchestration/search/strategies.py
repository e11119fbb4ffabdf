"""The strategies of a search: independent trials, a population, and repeats of the best trials with other seeds."""

import dataclasses
from typing import Protocol

from framework.orchestration.search.interruption import trials_of
from framework.orchestration.search.tune_run import SearchRun, template_of
from framework.orchestration.search.tune_searcher import QueueSearcher
from framework.search.early_stopping import rule_of
from framework.search.pbt import compared_until, exploit, generation_ends
from framework.search.registry import TrialRegistry
from framework.search.repeats import repeats_due
from framework.search.space import MUTABLE


class Strategy(Protocol):
    """One part of a search."""

    def run(self, search: SearchRun) -> None:
        """Trains the trials of this strategy that have not ended yet."""
        ...


class Independent:
    """Independent trials; `search.scheduler` may stop a bad one early."""

    def run(self, search: SearchRun) -> None:
        """Resumes unfinished trials, then proposes new ones."""
        unfinished, new = search.unfinished(), search.new_settings()
        if unfinished or new:
            feed = QueueSearcher(unfinished, new=new, propose=search.propose)
            search.train(
                feed, template_of(search.context, search.plan_of_settings()), rule=rule_of(search.context.experiment)
            )


class Population:
    """Population based training.

    Each generation is a separate Tune run, so a population of any size can train on a cluster of any size: a trial
    that waits for the others occupies no cores.
    """

    def run(self, search: SearchRun) -> None:
        """Trains the remaining generations, one after the other."""
        new = search.new_settings()
        if not (search.unfinished() or new):
            return
        run, say = search.context.run, search.context.progress.say
        template = dataclasses.replace(template_of(search.context, search.plan_of_settings()), mutable=MUTABLE)
        for _ in range(new):
            search.propose()
        ends = generation_ends(search.context.experiment)
        for end in ends:
            generation, last = SearchRun(search.context, TrialRegistry.of(run)), end == ends[-1]
            behind = [
                dataclasses.replace(record, total_images=end)
                for record in generation.registry.unfinished()
                if record.images_seen < end or record.state != "waiting"
            ]
            if behind:
                say(f"Generation to {end:,} images: {trials_of(len(behind))} to train")
                work = dataclasses.replace(template, state_at_end="finished" if last else "waiting")
                generation.train(QueueSearcher(behind), work)
            if not last and compared_until(run) < end:
                for copy in exploit(run, TrialRegistry.of(run), end=end):
                    changes = ", ".join(f"{key} {old:.4g} -> {new:.4g}" for key, (old, new) in copy.changed.items())
                    say(f"trial {copy.trial} continues from the checkpoint of trial {copy.donor} ({changes})")


class Repeats:
    """Repeats of the best settings with other seeds."""

    def run(self, search: SearchRun) -> None:
        """Trains the repeats that are due."""
        due = repeats_due(search.context.experiment, search.registry)
        if due:
            plan = search.plan(trials=len(due))
            search.context.progress.say(f"Repeats with other seeds: {', '.join(record.trial for record in due)}")
            waiting = [search.begin(record) for record in due]
            search.train(QueueSearcher(waiting), template_of(search.context, plan))
