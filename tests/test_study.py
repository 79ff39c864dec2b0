import json
from collections import Counter
from itertools import product

import pytest

from freeconv.command_line import read_settings
from freeconv.errors import InputError
from freeconv.study.grid import Study
from freeconv.study.settings import KINDS, Run, RunSettings, SharingScheme, Trial, sharing_of


@pytest.fixture
def config(read_config):
    return read_config()


def test_paper_has_920_runs(read_config):
    runs = Study.from_config(read_config("config/config.yaml")).runs()
    assert len(runs) == len(set(runs)) == 920
    # A data set and fold: 2 models x (1 + 4 x 10 levels), and 10 probabilities above 0.
    counts = Counter((run.dataset, run.fold) for run in runs)
    assert counts == dict.fromkeys(product(["mnist", "cifar10"], range(5)), 92)


def test_level_zero_is_one_shared_run(config):
    runs = Study.from_config(config).runs()
    unaugmented = [run for run in runs if run.level == 0]
    assert {run.augmentation for run in unaugmented} == {"none"}
    assert Counter(run.model for run in unaugmented if run.fold == 0) == {"cnn": 1, "fcn": 1}
    assert not [run for run in runs if run.augmentation == "none" and run.level != 0]


def test_connection_patterns_are_of_translated_fcns_alone(config):
    config["vcp"] = {"probabilities": [0, 0.5, 0.8], "translation": 0.3}
    runs = Study.from_config(config).runs()
    patterned = {run for run in runs if run.vcp > 0}
    assert patterned == {
        Run("digits", "fcn", "translation", 0.3, vcp, 1.0, fold, 0)
        for vcp, fold in product([0.5, 0.8], [0, 1, 2])
    }
    assert runs.count(Run("digits", "fcn", "translation", 0.3, 0.0, 1.0, 0, 0)) == 1


def test_connection_patterns_bring_their_own_level(config):
    config["vcp"] = {"probabilities": [0], "translation": 0.2}
    config["augmentations"] = {"rotation": [0.1]}
    runs = Study.from_config(config).runs()
    assert Run("digits", "fcn", "translation", 0.2, 0.0, 1.0, 1, 0) in runs
    assert not [run for run in runs if run.model == "cnn" and run.level == 0.2]


def test_a_study_without_connection_patterns(config):
    config["vcp"] = None
    assert {run.vcp for run in Study.from_config(config).runs()} == {0.0}


def test_seeds_differ_between_runs_and_fit_31_bits(read_config):
    study = Study.from_config(read_config("config/config.yaml"))
    seeds = [study.seed_of(run) for run in study.runs()]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_seed_follows_from_study_seed_and_run_alone(config):
    before = Study.from_config(config)
    config["augmentations"]["translation"] = [0.7, 0.3]
    config["folds"]["run"] = [4, 0]
    config["study"], config["device"] = "other", "cpu"
    after = Study.from_config(config)
    shared = set(before.runs()) & set(after.runs())
    assert shared
    assert all(before.seed_of(run) == after.seed_of(run) for run in shared)
    config["seed"] = 1
    reseeded = Study.from_config(config)
    assert all(after.seed_of(run) != reseeded.seed_of(run) for run in shared)


def test_repeats_are_runs_with_seeds_of_their_own(config):
    """The first one is the run of a study without repeats."""
    once = Study.from_config(config)
    config["repeats"] = 3
    study = Study.from_config(config)
    runs = study.runs()
    assert len(runs) == 3 * len(once.runs())
    assert runs[: len(once.runs())] == once.runs()
    assert all(study.seed_of(run) == once.seed_of(run) for run in once.runs())
    assert len({study.seed_of(run) for run in runs}) == len(runs)


def test_repeats_without_seeds_are_refused(config):
    config["repeats"], config["seed_policy"] = 2, "zero"
    with pytest.raises(InputError, match="repeats: 2 runs of a fold would be the same one"):
        Study.from_config(config)


def test_paper_seeds_are_zero(config):
    config["seed_policy"], config["seed"] = "zero", 5
    study = Study.from_config(config)
    assert {study.seed_of(run) for run in study.runs()} == {0}


def test_settings_hold_what_the_configuration_says(config):
    config["protocol"]["vcp"] = "input"
    config["backend"], config["precision"] = "jax", "tf32"
    study = Study.from_config(config)
    run = Run("digits", "fcn", "translation", 0.3, 0.5, 1.0, 1, 0)
    settings = study.settings_of(run)
    assert {name: getattr(settings, name) for name in vars(run)} == vars(run)
    assert settings.seed == study.seed_of(run)
    assert settings.batch_size == config["datasets"]["digits"]["batch_size"]
    assert (settings.vcp_kind, settings.edge_noise) == ("input", "text")
    assert (settings.backend, settings.precision) == ("jax", "tf32")
    assert settings.validation_rotation == 0.125


@pytest.fixture
def varied(config):
    """A study of two plain networks and two variants, with masked connections."""
    config["models"] = ["cnn", "fcn", "tiles", "inputs"]
    config["variants"] = {
        "tiles": {"kind": "fcn", "sharing": 2, "glorot_fans": "per_location"},
        "inputs": {"kind": "fcn", "vcp": "input", "edge_noise": "code"},
    }
    return config


def test_variants_differ_in_what_they_say_alone(varied):
    study = Study.from_config(varied)
    runs = {
        run.model: vars(study.settings_of(run))
        for run in study.runs()
        if (run.level, run.vcp, run.fold) == (0.1, 0.0, 0) and run.augmentation == "translation"
    }
    fcn = runs["fcn"]
    assert (fcn["kind"], fcn["sharing"], fcn["glorot_fans"]) == ("fcn", "1", "kernel_shape")
    assert runs["cnn"]["kind"] == "cnn"
    own = {"sharing": "2", "glorot_fans": "per_location"}
    seeds = {model: {"model": model, "seed": runs[model]["seed"]} for model in runs}
    assert runs["tiles"] == fcn | own | seeds["tiles"]
    own = {"vcp_kind": "input", "edge_noise": "code"}
    assert runs["inputs"] == fcn | own | seeds["inputs"]
    assert len({settings["seed"] for settings in runs.values()}) == 4


def test_variants_of_free_convolutions_have_absent_connections_too(varied):
    study = Study.from_config(varied)
    assert study.free_models() == ["fcn", "tiles", "inputs"]
    assert {run.model for run in study.runs() if run.vcp > 0} == set(study.free_models())
    varied["models"] = ["cnn", "tiles", "inputs"]
    assert Study.from_config(varied).free_models() == ["tiles", "inputs"]


def test_what_the_networks_of_a_study_differ_in(config, varied):
    study = Study.from_config(varied)
    choices = ("sharing", "glorot_fans", "vcp", "edge_noise", "validation_batches")
    assert [choice for choice in choices if study.varies(choice)] == list(choices[:4])
    config["models"], config["variants"] = ["cnn", "fcn"], None
    assert not any(map(Study.from_config(config).varies, choices))


def test_networks_are_called_by_what_sets_them_apart(varied):
    assert Study.from_config(varied).network_titles() == {
        "cnn": "CNN",
        "fcn": "FCN, weights masked, noise on the border",
        "tiles": "Tiles",
        "inputs": "FCN, inputs masked, noise as in the code",
    }
    del varied["models"][3], varied["variants"]["inputs"]
    assert Study.from_config(varied).network_titles()["fcn"] == "FCN"


@pytest.mark.parametrize(("text", "degree"), [("1", 1), ("12", 12), ("all", "all")])
def test_degrees_of_sharing_as_settings_hold_them(text, degree):
    assert sharing_of(text) == degree


def test_kinds_are_those_of_the_library():
    from freeconv.training import models

    assert models.KINDS == KINDS


def test_the_papers_search_has_48_trials(read_config):
    study = Study.from_config(read_config("config/config.yaml"))
    trials = study.trials()
    assert len(trials) == len(set(trials)) == 48
    rates = [0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6]
    assert set(trials) == {
        Trial(*identity, fold=0)
        for identity in product(["mnist", "cifar10"], ["cnn", "fcn"], [2, 3], rates)
    }
    limits = {(s.dataset, s.epochs, s.patience) for s in map(study.settings_of_trial, trials)}
    assert limits == {("mnist", 100, 25), ("cifar10", 200, 50)}


def test_no_two_jobs_of_the_paper_share_a_seed(read_config):
    study = Study.from_config(read_config("config/config.yaml"))
    seeds = [study.settings_of_trial(trial).seed for trial in study.trials()]
    seeds += [study.seed_of(run) for run in study.runs()]
    assert len(set(seeds)) == len(seeds) == 48 + 920
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_seed_of_a_trial_follows_from_study_seed_and_trial_alone(read_config):
    config = read_config(".test/config/config.yaml")
    before = Study.from_config(config)
    config["search"]["learning_rates"] = [0.5, *config["search"]["learning_rates"]]
    config["search"]["datasets"]["digits"]["epochs"] = 9
    config["folds"]["run"] = [0, 2]
    after = Study.from_config(config)
    config["seed"] += 1
    reseeded = Study.from_config(config)
    for trial in before.trials():
        seed = before.settings_of_trial(trial).seed
        assert after.settings_of_trial(trial).seed == seed
        assert reseeded.settings_of_trial(trial).seed != seed
    config["seed_policy"] = "zero"
    policy = Study.from_config(config)
    assert {policy.settings_of_trial(trial).seed for trial in policy.trials()} == {0}


def test_a_trial_trains_as_its_data_set_but_for_what_is_searched(read_config):
    study = Study.from_config(read_config("config/published.yaml"))
    trial = Trial("cifar10", "fcn", 2, 0.1, 0)
    settings = vars(study.settings_of_trial(trial))
    own = vars(study.settings_of(Run("cifar10", "fcn", "none", 0.0, 0.0, 1.0, 0, 0)))
    searched = {"layers": 2, "learning_rate": 0.1, "epochs": 200, "patience": 50}
    assert settings == own | searched | {"seed": settings["seed"]}


def test_a_study_without_a_search_says_so(config):
    with pytest.raises(InputError, match=r"^search: null.*study demo.*describe one"):
        Study.from_config(config).trials()


def _unknown_dataset(config):
    config["datasets"]["emnist"] = config["datasets"].pop("digits")


def _fold_out_of_range(config):
    config["folds"]["run"] = [0, 5]


def _patterns_without_fcn(config):
    config["models"] = ["cnn"]


def _unknown_model(config):
    config["models"] = ["cnn", "fnc"]


def _variant_without_use(config):
    config["variants"] = {"tiles": {"kind": "fcn", "sharing": 2}}


def _variant_of_a_taken_name(config):
    config["variants"] = {"fcn": {"kind": "fcn", "sharing": 2}}


def _shared_convolution(config):
    config["models"].append("tiles")
    config["variants"] = {"tiles": {"kind": "cnn", "sharing": 2}}


def _search(config, fold, dataset):
    budgets = {dataset: {"epochs": 2, "patience": 1}}
    config["search"] = {
        "learning_rates": [0.1],
        "layers": [2],
        "fold": fold,
        "datasets": budgets,
    }


def _search_of_another_dataset(config):
    _search(config, 0, "mnist")


def _search_on_another_fold(config):
    _search(config, 5, "digits")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_unknown_dataset, ["datasets.emnist", "known sources: cifar10, digits, mnist"]),
        (_fold_out_of_range, ["folds.run[1]: 5", "expected 0 to 4"]),
        (_patterns_without_fcn, ["vcp", "need the model fcn"]),
        (_unknown_model, ["models[1]: fnc is not known; expected one of cnn, fcn"]),
        (_variant_without_use, ["variants.tiles: not among models; add it there, or remove it"]),
        (_variant_of_a_taken_name, ["variants.fcn: the name is taken"]),
        (_shared_convolution, ["variants.tiles.sharing: of free convolutions alone; expected"]),
        (_search_of_another_dataset, ["search.datasets.mnist", "expected one of digits"]),
        (_search_on_another_fold, ["search.fold: 5", "expected 0 to 4", "folds.count is 5"]),
    ],
)
def test_contradictions_are_named(config, spoil, words):
    spoil(config)
    with pytest.raises(InputError) as error:
        Study.from_config(config)
    for word in words:
        assert word in str(error.value)


SCHEMES = {
    "mixed": {"kind": "fcn", "banks": 4},
    "slept": {
        "kind": "fcn",
        "release": 0,
        "phases": {"period": 2, "unit": "steps", "strength": 1, "rule": "hebbian", "tile": 2},
    },
    "later": {"kind": "fcn", "release": 5},
    "held": {"kind": "fcn", "penalty": {"neighbour": 1, "mean": 0}},
}


@pytest.fixture
def schemed(config):
    config["models"] = ["cnn", "fcn", *SCHEMES]
    config["variants"], config["vcp"] = dict(SCHEMES), None
    return config


def test_ways_of_sharing_are_settings_of_their_networks_alone(schemed):
    study = Study.from_config(schemed)
    found = {run.model: study.settings_of(run) for run in study.runs()}
    plain = vars(SharingScheme())
    differ = {
        model: {key: vars(run)[key] for key in plain if vars(run)[key] != plain[key]}
        for model, run in found.items()
    }
    assert differ == {
        "cnn": {},
        "fcn": {},
        "mixed": {"banks": 4},
        "slept": {
            **{"release": 0, "phase_period": 2, "phase_unit": "steps", "phase_strength": 1.0},
            **{"phase_rule": "hebbian", "phase_tile": "2"},
        },
        "later": {"release": 5},
        "held": {"neighbour_penalty": 1.0},
    }
    # As they are read back from JSON, by the types of their fields.
    for run in found.values():
        assert read_settings(RunSettings, json.dumps(vars(run))) == run


def test_networks_are_called_by_their_way_of_sharing(schemed):
    assert Study.from_config(schemed).network_titles() == {
        "cnn": "CNN",
        "fcn": "FCN",
        "mixed": "4 banks",
        "slept": "Hebbian 1 of tiles of 2 every 2 steps",
        "later": "Released after 5 epochs",
        "held": "Neighbour penalty 1, from separate kernels",
    }


def test_what_networks_differ_in_is_known(schemed):
    study = Study.from_config(schemed)
    ways = ("sharing", "banks", "phases", "release", "penalty", "training_share")
    assert {way: study.varies(way) for way in ways} == {
        **{"sharing": False, "banks": True, "phases": True, "release": True, "penalty": True},
        "training_share": False,
    }
    del schemed["variants"]["later"]
    schemed["models"].remove("later")
    assert not Study.from_config(schemed).varies("release")  # it is where the other one begins


def test_shares_of_the_training_images_are_runs(config):
    whole = Study.from_config(config)
    config["training_shares"] = [0.1, 0.5, 1]
    config["vcp"] = {"probabilities": [0.5], "translation": 0.3}
    study = Study.from_config(config)
    runs = study.runs()
    patterned = [run for run in runs if run.vcp > 0]
    assert {run.training_share for run in patterned} == {1.0}
    assert len(runs) - len(patterned) == 3 * len([run for run in whole.runs() if run.vcp == 0])
    # All images are the run that it is without shares.
    same = set(runs) & set(whole.runs())
    assert same == {run for run in whole.runs() if run.vcp == 0}
    assert all(study.settings_of(run) == whole.settings_of(run) for run in same)
    assert len({study.seed_of(run) for run in runs}) == len(runs)
    # Which images these are depends on fold and repeat alone, so that shares are nested.
    subsets = {(run.fold, run.training_share < 1): set() for run in runs}
    for run in runs:
        subsets[run.fold, run.training_share < 1].add(study.settings_of(run).subset_seed)
    assert all(len(seeds) == 1 for seeds in subsets.values())
    small = [seeds.pop() for (_, part), seeds in subsets.items() if part]
    assert len(set(small)) == len(small) == len(config["folds"]["run"])


def test_shares_without_all_images_are_refused(config):
    config["training_shares"] = [0.1, 0.5]
    with pytest.raises(InputError, match=r"training_shares: \[0.1, 0.5\] lacks 1"):
        Study.from_config(config)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"banks": 2, "sharing": 2}, "banks and sharing are different ways"),
        ({"banks": 2, "release": 0}, "banks and release are different ways"),
        ({"sharing": 2, "release": 0}, "release and sharing are different ways"),
        (
            {"sharing": 2, "phases": {"period": 1, "strength": 1}},
            "phases and sharing are different ways",
        ),
    ],
)
def test_ways_of_sharing_that_exclude_each_other_are_named(schemed, choices, words):
    schemed["variants"]["later"] = {"kind": "fcn", **choices}
    with pytest.raises(InputError, match=f"variants.later: {words}"):
        Study.from_config(schemed)


def test_ways_of_sharing_are_of_free_networks_with_all_connections(schemed):
    schemed["vcp"] = {"probabilities": [0.5], "translation": 0.3}
    with pytest.raises(InputError, match=r"vcp: not with variants.mixed.banks"):
        Study.from_config(schemed)
    schemed["vcp"] = None
    schemed["variants"]["later"] = {"kind": "cnn", "release": 5}
    with pytest.raises(InputError, match=r"variants.later.release: of free convolutions alone"):
        Study.from_config(schemed)
