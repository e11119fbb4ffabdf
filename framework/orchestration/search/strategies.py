"""The strategies of a search: independent trials, a population, and repeats of the best trials with other seeds."""

import dataclasses
from typing import Protocol

from framework.orchestration.search.interruption import trials_of
from framework.orchestration.search.tune_run import SearchRun
from framework.orchestration.search.tune_searcher import Feed
from framework.search.early_stopping import rule_of
from framework.search.pbt import compared_until, exploit, generation_ends
from framework.search.registry import Ledger
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
            feed = Feed(unfinished, new=new, propose=search.propose)
            search.train(feed, search.template(), rule=rule_of(search.study.experiment))


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
        run, say = search.study.run, search.study.watch.say
        template = dataclasses.replace(search.template(), mutable=MUTABLE)
        for _ in range(new):
            search.propose()
        ends = generation_ends(search.study.experiment)
        for end in ends:
            generation, last = SearchRun(search.study, Ledger.of(run)), end == ends[-1]
            behind = [
                dataclasses.replace(entry, total_images=end)
                for entry in generation.ledger.open_ones()
                if entry.images_seen < end or entry.state != "waiting"
            ]
            if behind:
                say(f"Generation to {end:,} images: {trials_of(len(behind))} to train")
                work = dataclasses.replace(template, state_at_end="finished" if last else "waiting")
                generation.train(Feed(behind), work)
            if not last and compared_until(run) < end:
                for copy in exploit(run, Ledger.of(run), end=end):
                    changes = ", ".join(f"{key} {old:.4g} -> {new:.4g}" for key, (old, new) in copy.changed.items())
                    say(f"trial {copy.trial} continues from the checkpoint of trial {copy.donor} ({changes})")


class Repeats:
    """Repeats of the best settings with other seeds."""

    def run(self, search: SearchRun) -> None:
        """Trains the repeats that are due."""
        due = repeats_due(search.study.experiment, search.ledger)
        if due:
            plan = search.plan(trials=len(due))
            search.study.watch.say(f"Repeats with other seeds: {', '.join(entry.trial for entry in due)}")
            waiting = [search.begin(entry) for entry in due]
            search.train(Feed(waiting), search.template(plan))
