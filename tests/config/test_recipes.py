"""Recipes: which settings they add, what takes precedence, and what cannot be in one."""

import pytest

from framework.config import Experiment, experiment_from_text, load_experiment, to_yaml, with_overrides
from framework.errors import ConfigError
from framework.search.space import settings

TEXT = """
data: {source: drawn_faces, resolution: 32}
training: {schedule: joint, batch_size: 64}
optimizer: {generator_lr: 1e-3}
recipe: plain
recipes:
  plain: {optimizer.generator_lr: 5e-4}
  pairs: {objective.loss: relativistic, optimizer.discriminator_lr: {from: 1e-3, to: 1e-4, over: 1000}}
search:
  space:
    recipe: {grid: [plain, pairs]}
    model.latent_size: {choice: [32, 64]}
  trials: 3
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "faces.yaml"
    path.write_text(TEXT)
    return path


def test_a_recipe_adds_its_settings_and_the_command_line_takes_precedence(config):
    plain = load_experiment(config)
    assert (plain.recipe, plain.optimizer.generator_lr, plain.objective.loss) == ("plain", 5e-4, "binary_cross_entropy")
    pairs = load_experiment(config, {"recipe": "pairs", "training.batch_size": 16})
    assert (pairs.optimizer.generator_lr, pairs.objective.loss) == (1e-3, "relativistic")
    assert pairs.optimizer.discriminator_lr["shape"] == "cosine"
    assert pairs.training.batch_size == 16
    assert load_experiment(config, {"optimizer.generator_lr": 2e-4}).optimizer.generator_lr == 2e-4
    assert load_experiment(config, {"recipe": None}).optimizer.generator_lr == 1e-3
    added = load_experiment(config, {"recipes.slow": {"optimizer.generator_lr": 1e-5}, "recipe": "slow"})
    assert added.optimizer.generator_lr == 1e-5


def test_a_run_keeps_the_settings_that_it_began_with(config):
    began = load_experiment(config, {"optimizer.generator_lr": 2e-4})
    again = experiment_from_text(to_yaml(began), source="experiment.yaml", of_run=True)
    assert again == began
    longer = with_overrides(again, {"training.total_images": 640})
    assert longer.optimizer.generator_lr == 2e-4
    assert began.digest("0") == load_experiment(config, {"recipe": None, "optimizer.generator_lr": 2e-4}).digest("0")
    with pytest.raises(ConfigError, match=r"^recipe: the settings of plain are in these already"):
        with_overrides(again, {"recipe": "pairs"})


def test_a_search_compares_recipes(config):
    experiment = load_experiment(config, {"recipe": None})
    tried = [setting.parameters for setting in settings(experiment)]
    assert [each["recipe"] for each in tried] == ["plain", "pairs"] * 3
    assert tried[0]["model.latent_size"] == tried[1]["model.latent_size"]
    losses = [with_overrides(experiment, each).objective.loss for each in tried]
    assert losses == ["binary_cross_entropy", "relativistic"] * 3
    # A further recipe is tried after the others, with the names of the earlier trials unchanged.
    more = with_overrides(
        experiment,
        {
            "search.trials": 1,
            "recipes.wide": {"model.width": 256},
            "search.space.recipe": {"grid": ["plain", "pairs", "wide"]},
        },
    )
    assert [each.trial for each in settings(more)][:2] == [each.trial for each in settings(experiment)][:2]


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"recipe": "fast"}, "recipe: must be one of plain, pairs, not 'fast'"),
        ({"recipes.a/b": {}}, "recipes: a name must have letters, digits, _ and - only, not 'a/b'"),
        ({"recipes.x": {"model.entry": "evil:go"}}, "recipes.x: 'model.entry' cannot be in a recipe"),
        ({"recipes.x": {"data.path": "/home"}}, "recipes.x: 'data.path' cannot be in a recipe"),
        ({"recipes.x": {"objective.los": 1}}, "recipes.x: 'objective.los' cannot be in a recipe"),
        ({"recipes.x": {"objective.loss": "hing"}, "recipe": "x"}, "objective.loss: must be"),
        ({"recipes.x": {"model.width": float("nan")}}, "recipes: nan is not allowed"),
        ({"recipes.x": 3}, "recipes.x: must be a mapping, not 3"),
        (
            {"recipe": None, "search.space.optimizer.generator_lr": {"uniform": [1e-4, 1e-3]}},
            "search.space.optimizer.generator_lr: is set by a recipe, and search.space.recipe searches these",
        ),
        ({}, "recipe: plain is chosen, but search.space tries recipes; add recipe=null"),
        (
            {"recipe": None, "search.space.recipe": {"grid": ["plain", "none"]}},
            "search.space.recipe.grid: recipe: must be one of",
        ),
        ({"recipe": None, "search.space.recipe": {"uniform": [0, 1]}}, "search.space.recipe.uniform: recipe: must be"),
    ],
)
def test_faults_are_one_line(config, overrides, fault):
    with pytest.raises(ConfigError) as raised:
        settings(load_experiment(config, overrides))
    assert any(line.startswith(fault) for line in raised.value.faults), raised.value.faults


def test_there_is_none_by_default():
    assert (Experiment().recipe, Experiment().recipes) == (None, {})
