import copy
import datetime
import re
from functools import reduce

import pytest
from conftest import ROOT

from freeconv.errors import InputError
from freeconv.io import put_between
from freeconv.study.config import check_config, complete, expand_paths, override, read_yaml
from freeconv.study.config_table import MARKS, key_table
from freeconv.study.extensions import extended_schema

STUDIES = sorted(path for path in ROOT.glob("config/*.yaml") if path.name != "datasets.yaml")


@pytest.mark.parametrize(
    "name",
    [".test/config/config.yaml", *(f"config/{path.name}" for path in STUDIES)],
)
def test_our_studies_satisfy_the_schema(read_config, schema, name):
    config = read_config(name)
    check_config(config, extended_schema(schema, config["extension"]))


def test_published_differs_from_the_paper_in_its_protocol_alone(read_config):
    paper, published = read_config("config/config.yaml"), read_config("config/published.yaml")
    assert paper | {"study": "published", "protocol": published["protocol"]} == published
    assert published["protocol"] == {
        "glorot_fans": "kernel_shape",
        "vcp": "input",
        "edge_noise": "code",
        "rotation_centre": "code",
        "noise_order": "consecutive",
        "validation_batches": "whole",
    }


def _set(config, path, value):
    *parents, last = path
    for key in parents:
        config = config[key]
    config[last] = value


# What is wrong -> what the message must say: the key, the value, what is allowed.
WRONG = [
    (["agumentations"], {}, ["agumentations: unknown key", "did you mean augmentations?"]),
    (["folds", "shuffle"], True, ["folds.shuffle: unknown key (value true)", "count, method, run"]),
    (
        ["augmentations", "translation"],
        [0, 1.5],
        ["augmentations.translation[1]: 1.5 is not allowed; expected at most 1"],
    ),
    (["augmentations", "noise"], [-0.1], ["augmentations.noise[0]: -0.1", "at least 0"]),
    (["augmentations", "noise"], [0.1, 0.1], ["augmentations.noise: [0.1, 0.1]", "no value twice"]),
    (["augmentations", "shear"], [0.1], ["augmentations.shear: unknown key", "edge_noise, noise"]),
    (["folds", "count"], 1, ["folds.count: 1 is not allowed; expected at least 2"]),
    (["vcp", "probabilities"], [1], ["vcp.probabilities[0]: 1 ", "less than 1"]),
    (["models"], ["R N N"], ['models[0]: "R N N" is not allowed; expected a name of lower-case']),
    (["variants"], {"a": {"kind": "rnn"}}, ['variants.a.kind: "rnn" ', '"cnn", "fcn"']),
    (["variants"], {"a": {"sharing": 2}}, ["variants.a.kind: missing"]),
    (["variants"], {"a": {"kind": "fcn"}}, ["variants.a: ", "at least 2 of them"]),
    (
        ["variants"],
        {"a": {"kind": "fcn", "sharing": 0}},
        ["variants.a.sharing: 0 is not allowed; expected a whole number from 1 to 1000000, or all"],
    ),
    (
        ["variants"],
        {"a": {"kind": "fcn", "glorot": "kernel_shape"}},
        ["variants.a.glorot: unknown key", "did you mean glorot_fans?"],
    ),
    (["models"], [], ["models: [] is not allowed; expected at least 1 of them"]),
    (["device"], "tpu", ['device: "tpu" ', '"auto", "gpu", "cpu"']),
    (["gpu_shares"], 0, ["gpu_shares: 0 ", "at least 1"]),
    (["backend"], "torch", ['backend: "torch" ', '"tensorflow", "jax"']),
    (["precision"], "float16", ['precision: "float16" ', '"tf32", "mixed_bfloat16"']),
    (["keep_models"], "yes", ['keep_models: "yes" ', "true or false"]),
    (["seed"], 1.5, ["seed: 1.5 ", "a whole number"]),
    (["search"], {"layers": [2]}, ["search.datasets: missing; this key is required"]),
    (
        ["search"],
        {"learning_rates": ["1e-6"], "layers": [4], "fold": 0, "datasets": {"digits": {}}},
        [
            'search.learning_rates[0]: "1e-6" is not allowed; expected a number',
            "search.layers[0]: 4 is not allowed; expected at most 3",
            "search.datasets.digits.patience: missing",
        ],
    ),
    (["study"], "My study", ['study: "My study" ', "lower-case letters, digits and underscores"]),
    (["datasets", "digits", "network"], "resnet", ["datasets.digits.network", "resnet", "mnist"]),
    (["datasets", "digits", "learning_rate"], 0, ["learning_rate: 0 ", "more than 0"]),
    (["datasets", "digits", "patience"], "9", ['patience: "9" ', "a whole number"]),
    (["protocol", "glorot_fans"], None, ["protocol.glorot_fans: null ", '"per_location"']),
    (["folds"], [1], ["folds: [1] is not allowed; expected a mapping of keys to values"]),
    (
        ["sources", "mnist", "files", "train_images", "sha256"],
        "ab",
        ["sources.mnist.files.train_images.sha256", "64 lower-case hexadecimal digits"],
    ),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG, ids=lambda p: str(p)[:40])
def test_each_fault_is_named(read_config, schema, path, value, words):
    config = read_config()
    _set(config, path, value)
    with pytest.raises(InputError) as error:
        check_config(config, schema)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("1e-6", "; YAML takes this for text, write 0.000001"), ("nan", ""), ("1e99", ""), ("x", "")],
)
def test_numbers_that_yaml_takes_for_text_are_shown_as_it_wants_them(text, hint):
    with pytest.raises(InputError) as error:
        check_config({"a": text}, {"properties": {"a": {"type": "number"}}})
    assert str(error.value).endswith(f"expected a number{hint}")


@pytest.mark.parametrize("path", [["study"], ["datasets"], ["variants", "a", "kind"]])
def test_a_missing_key_is_named(read_config, schema, path):
    config = read_config() | {"variants": {"a": {"kind": "fcn", "sharing": 2, "vcp": "input"}}}
    *parents, last = path
    del reduce(dict.__getitem__, parents, config)[last]
    with pytest.raises(InputError, match=f"{'.'.join(path)}: missing; this key is required"):
        complete(config, schema)


def test_what_a_study_does_not_state_is_as_in_the_paper(schema):
    """Table A.2, sections A.1 to A.3 and 5.1, as numbers."""
    config = complete({"study": "mine", "datasets": {"mnist": {}}, "search": None}, schema)
    assert config["datasets"]["mnist"] == {
        **{"network": "mnist", "layers": 3, "learning_rate": 0.001},
        **{"batch_size": 256, "epochs": 250, "patience": 50},
    }
    levels = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99]
    kinds = ("translation", "rotation", "noise", "edge_noise")
    assert config["augmentations"] == dict.fromkeys(kinds, levels)
    assert config["vcp"] == {"probabilities": levels, "translation": 0.3}
    assert config["folds"] == {"count": 5, "run": [0, 1, 2, 3, 4], "method": "contiguous"}
    assert config["models"] == ["cnn", "fcn"]
    assert (config["variants"], config["search"], config["extension"]) == (None, None, None)


def test_what_a_study_states_stays(schema):
    stated = {
        "study": "mine",
        "datasets": {"a": {"epochs": 3}, "b": {"layers": 2}},
        "augmentations": {"noise": [0.5]},
        "folds": {"count": 3},
        "vcp": {"probabilities": [0.5]},
        "search": {"layers": [2], "datasets": {"a": {"epochs": 1, "patience": 1}}},
    }
    before = copy.deepcopy(stated)
    config = complete(stated, schema)
    assert stated == before
    assert config["augmentations"] == {"noise": [0.5]}
    assert config["folds"]["run"] == [0, 1, 2]
    assert config["vcp"] == {"probabilities": [0.5], "translation": 0.3}
    assert (config["search"]["layers"], config["search"]["fold"]) == ([2], 0)
    epochs = {name: training["epochs"] for name, training in config["datasets"].items()}
    assert epochs == {"a": 3, "b": 250}
    assert complete(config, schema) == config


def test_connection_patterns_are_none_by_default_where_no_network_has_them(schema):
    shared = {"study": "mine", "datasets": {"mnist": {}}, "models": ["cnn"]}
    assert complete(shared, schema)["vcp"] is None
    stated = complete(shared | {"vcp": {}}, schema)["vcp"]
    assert stated["translation"] == 0.3  # and `Study.from_config` names the contradiction


def test_defaults_are_as_the_schema_allows(schema):
    """Each of them, put where it is the default of, is a valid value."""
    config = complete(
        {
            **{"study": "mine", "datasets": {"mnist": {}}},
            "search": {"datasets": {"mnist": {"epochs": 1, "patience": 1}}},
        },
        schema,
    )
    check_config(config, schema)


def test_the_table_of_keys_is_that_of_the_schema(schema, tmp_path):
    """If not: make format."""
    text = (ROOT / "config/README.md").read_text()
    (tmp_path / "README.md").write_text(text)
    put_between(tmp_path / "README.md", *MARKS, key_table(schema))
    assert (tmp_path / "README.md").read_text() == text
    assert "| `folds.count` | `5` | number of folds |" in text
    assert "| `datasets.<name>.epochs` | `250` | " in text


def test_every_fault_is_listed_once(read_config, schema):
    config = read_config()
    config["seed"] = "x"
    config["folds"]["count"] = 1
    with pytest.raises(InputError) as error:
        check_config(config, schema)
    assert len(str(error.value).splitlines()) == 3


@pytest.fixture
def full_config(read_config):
    """A study in which every key that holds a number is there."""
    config = read_config("config/config.yaml")
    config["models"] = [*config["models"], "tiles"]
    config["variants"] = {"tiles": {"kind": "fcn", "sharing": 2}}
    return config


def _numbers(value, path=()):
    """The path of every number in a configuration; of a list, of its first one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*path, key))
    elif isinstance(value, list):
        yield from _numbers(value[0], (*path, 0))


WRONG_NUMBERS = [
    *("7", "7.0", "1e400", "seven", True, False, None, [], [1], {}, {"a": 1}),
    *(float("nan"), float("inf"), float("-inf"), datetime.date(2026, 1, 1), 10**30, -(10**30)),
]
INTEGERS = {
    *(
        "seed",
        "repeats",
        "gpu_shares",
        "folds.count",
        "folds.run[0]",
        "search.fold",
        "search.layers[0]",
    ),
    *(f"datasets.mnist.{key}" for key in ("layers", "batch_size", "epochs", "patience")),
    *(f"search.datasets.mnist.{key}" for key in ("epochs", "patience")),
    "variants.tiles.sharing",
}


def test_numbers_of_the_wrong_kind_are_refused_wherever_they_stand(full_config, schema):
    """Each by one line, which names the key: no job is to find it out."""
    check_config(full_config, schema)
    wholes = set()
    for path, number in list(_numbers(full_config)):
        key = re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, path)))
        for value in [*WRONG_NUMBERS, float(number)]:
            config = copy.deepcopy(full_config)
            _set(config, path, value)
            try:
                check_config(config, schema)
            except InputError as error:
                (line,) = str(error).splitlines()[1:]
                assert line.startswith(f"  - {key}: "), line
                if isinstance(value, float) and value == number:
                    wholes.add(key)
                    assert str(value) in line
            else:
                # Levels, rates and strengths may be whole.
                assert (type(value), value) == (float, number), key
    assert {key for key in wholes if "cifar10" not in key} == INTEGERS


@pytest.mark.parametrize("text", ["4", "4.0", 4.0])
def test_whole_numbers_are_shown_as_they_are_to_be_written(text):
    with pytest.raises(InputError, match=r"expected a whole number; (YAML .* text, )?write 4$"):
        check_config({"a": text}, {"properties": {"a": {"type": "integer"}}})


@pytest.mark.parametrize("text", ["a: 2026-13-45", f"a: {'9' * 5000}"])
def test_what_yaml_cannot_make_a_value_of_is_named(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError, match=r"study\.yaml: not valid YAML: "):
        read_yaml(tmp_path / "study.yaml")


def test_keys_that_are_no_text_are_shown(read_config, schema):
    config = read_config()
    config["folds"] = {datetime.date(2026, 1, 1): 1}
    with pytest.raises(InputError, match=r"folds\.2026-01-01: unknown key"):
        check_config(config, schema)
    config["seed"] = config["folds"]
    with pytest.raises(InputError, match=r"seed: \{.*\} is not allowed"):
        check_config(config, schema)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("key=true", True),
        ("key=null", None),
        ("key=", None),
        ("key=3", 3),
        ("key=1e5", "1e5"),
        ("key=a=b: c: d", "a=b: c: d"),
        ("key=[0, 0.5]", [0, 0.5]),
    ],
)
def test_values_of_the_command_line_are_yaml(word, value):
    config = {"key": "before", "other": {"a": 1}}
    assert override(config, [word]) == {"key": value, "other": {"a": 1}}
    assert override(config, ["other={b: 2}", word])["other"] == {"a": 1, "b": 2}
    assert config["key"] == "before"


def test_the_home_folder_in_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = {
        "mirror": "~/data",
        "extension": {"file": "~/own.py"},
        "study": "~",
        "sources": {
            "a": {"path": "~/a.npz", "urls": ["https://host//~/b"]},
            "b": {"files": {"images": {"path": "~/i"}, "labels": {"name": "~"}, "wrong": "~/w"}},
            "c": None,
        },
    }
    expanded = expand_paths(config)
    assert (expanded["mirror"], expanded["extension"]["file"], expanded["study"]) == (
        "/home/me/data",
        "/home/me/own.py",
        "~",
    )
    assert expanded["sources"]["a"] == {"path": "/home/me/a.npz", "urls": ["https://host//~/b"]}
    assert expanded["sources"]["b"]["files"] == {
        "images": {"path": "/home/me/i"},
        "labels": {"name": "~"},
        "wrong": "~/w",
    }
    assert expand_paths({"mirror": "https://host//a", "sources": 3})["mirror"] == "https://host//a"
