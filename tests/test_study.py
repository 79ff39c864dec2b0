from collections import Counter
from itertools import product

import pytest

from freeconv.errors import InputError
from freeconv.study import Cell, Study


@pytest.fixture
def config(read_config):
    return read_config()


def test_paper_has_920_cells(read_config):
    cells = Study.from_config(read_config("config/config.yaml")).cells()
    assert len(cells) == len(set(cells)) == 920
    # A data set and fold: 2 models x (1 + 4 x 10 levels), and 10 probabilities above 0.
    counts = Counter((cell.dataset, cell.fold) for cell in cells)
    assert counts == dict.fromkeys(product(["mnist", "cifar10"], range(5)), 92)


def test_level_zero_is_one_shared_cell(config):
    cells = Study.from_config(config).cells()
    unaugmented = [cell for cell in cells if cell.level == 0]
    assert {cell.augmentation for cell in unaugmented} == {"none"}
    assert Counter(cell.model for cell in unaugmented if cell.fold == 0) == {"cnn": 1, "fcn": 1}
    assert not [cell for cell in cells if cell.augmentation == "none" and cell.level != 0]


def test_connection_patterns_are_of_translated_fcns_alone(config):
    config["vcp"] = {"probabilities": [0, 0.5, 0.8], "translation": 0.3}
    cells = Study.from_config(config).cells()
    patterned = {cell for cell in cells if cell.vcp > 0}
    assert patterned == {
        Cell("digits", "fcn", "translation", 0.3, vcp, fold)
        for vcp, fold in product([0.5, 0.8], [0, 1])
    }
    assert cells.count(Cell("digits", "fcn", "translation", 0.3, 0.0, 0)) == 1


def test_connection_patterns_bring_their_own_level(config):
    config["vcp"] = {"probabilities": [0], "translation": 0.2}
    config["augmentations"] = {"rotation": [0.1]}
    cells = Study.from_config(config).cells()
    assert Cell("digits", "fcn", "translation", 0.2, 0.0, 1) in cells
    assert not [cell for cell in cells if cell.model == "cnn" and cell.level == 0.2]


def test_a_study_without_connection_patterns(config):
    config["vcp"] = None
    assert {cell.vcp for cell in Study.from_config(config).cells()} == {0.0}


def test_seeds_differ_between_cells_and_fit_31_bits(read_config):
    study = Study.from_config(read_config("config/config.yaml"))
    seeds = [study.seed_of(cell) for cell in study.cells()]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_seed_follows_from_study_seed_and_cell_alone(config):
    before = Study.from_config(config)
    config["augmentations"]["translation"] = [0.7, 0.3]
    config["folds"]["run"] = [4, 0]
    config["study"], config["device"] = "other", "cpu"
    after = Study.from_config(config)
    shared = set(before.cells()) & set(after.cells())
    assert shared
    assert all(before.seed_of(cell) == after.seed_of(cell) for cell in shared)
    config["seed"] = 1
    reseeded = Study.from_config(config)
    assert all(after.seed_of(cell) != reseeded.seed_of(cell) for cell in shared)


def test_paper_seeds_are_zero(config):
    config["seed_policy"], config["seed"] = "paper", 5
    study = Study.from_config(config)
    assert {study.seed_of(cell) for cell in study.cells()} == {0}


def test_settings_hold_what_the_configuration_says(config):
    config["protocol"]["vcp"] = "input"
    config["backend"], config["precision"] = "jax", "tf32"
    study = Study.from_config(config)
    cell = Cell("digits", "fcn", "translation", 0.3, 0.5, 1)
    settings = study.settings_of(cell)
    assert {name: getattr(settings, name) for name in vars(cell)} == vars(cell)
    assert settings.seed == study.seed_of(cell)
    assert settings.batch_size == config["datasets"]["digits"]["batch_size"]
    assert (settings.vcp_kind, settings.edge_noise) == ("input", "paper")
    assert (settings.backend, settings.precision) == ("jax", "tf32")
    assert settings.validation_rotation == 0.125


def _unknown_dataset(config):
    config["datasets"]["emnist"] = config["datasets"].pop("digits")


def _fold_out_of_range(config):
    config["folds"]["run"] = [0, 5]


def _patterns_without_fcn(config):
    config["models"] = ["cnn"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_unknown_dataset, ["datasets.emnist", "known sources: cifar10, digits, mnist"]),
        (_fold_out_of_range, ["folds.run[1]: 5", "expected 0 to 4"]),
        (_patterns_without_fcn, ["vcp", "need the model fcn"]),
    ],
)
def test_contradictions_are_named(config, spoil, words):
    spoil(config)
    with pytest.raises(InputError) as error:
        Study.from_config(config)
    for word in words:
        assert word in str(error.value)
