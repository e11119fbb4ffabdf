"""Recipes: named settings that a config carries, of which `recipe` chooses one, and which a search can compare."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from framework.config.schedule import whole_key
from framework.config.schema import ExperimentKeys
from framework.config.words import shown

RECIPE, RECIPES = "recipe", "recipes"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SECTIONS = ("model", "objective", "optimizer", "training")
_NEVER = ("model.entry", "model.layers", "model.discriminator_layers", "training.start_from", "training.start_digest")


def settings_of_recipe(document: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value of the recipe that a document chooses; {} if it chooses none, or one that is not there."""
    name, recipes = document.get(RECIPE), document.get(RECIPES)
    settings = recipes.get(name) if isinstance(recipes, dict) and isinstance(name, str) else None
    return dict(settings) if isinstance(settings, dict) else {}


def searched_settings(experiment: ExperimentKeys) -> dict[str, list[Any]]:
    """Dotted key -> the values that the recipes of a search give it; {} if it does not search recipes."""
    values: dict[str, list[Any]] = {}
    spec = experiment.search.space.get(RECIPE, {})
    for name in next((names for names in spec.values() if isinstance(names, list)), []):
        for key, value in settings_of_recipe({RECIPE: name, RECIPES: experiment.recipes}).items():
            values.setdefault(key, []).append(value)
    return values


def recipe_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """One line for each fault of the recipes, and for a `recipe` that is none of them."""
    allowed = {f"{section}.{name}" for section in _SECTIONS for name in type(getattr(experiment, section)).model_fields}
    for name, settings in experiment.recipes.items():
        if not _NAME.fullmatch(name):
            yield f"{RECIPES}: a name must have letters, digits, _ and - only, not {shown(name)}"
            continue
        for key in settings:
            if whole_key(key) not in allowed.difference(_NEVER):
                yield (
                    f"{RECIPES}.{name}: {shown(key)} cannot be in a recipe; allowed are the keys of "
                    f"{', '.join(_SECTIONS)} except {', '.join(_NEVER)}"
                )
    if experiment.recipe is not None and experiment.recipe not in experiment.recipes:
        named = ", ".join(experiment.recipes)
        allowed_names = f"one of {named}" if named else f"null, as {RECIPES} is empty"
        yield f"{RECIPE}: must be {allowed_names}, not {shown(experiment.recipe)}"
