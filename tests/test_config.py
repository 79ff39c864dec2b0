import pytest
from conftest import ROOT

from freeconv.config import check_config
from freeconv.errors import InputError

STUDIES = sorted(path for path in ROOT.glob("config/*.yaml") if path.name != "datasets.yaml")


@pytest.mark.parametrize(
    "name",
    ["tests/smoke.yaml", *(f"config/{path.name}" for path in STUDIES)],
)
def test_our_studies_satisfy_the_schema(read_config, schema, name):
    check_config(read_config(name), schema)


def test_published_differs_from_the_paper_in_its_protocol_alone(read_config):
    paper, published = read_config("config/config.yaml"), read_config("config/published.yaml")
    assert paper | {"study": "published", "protocol": published["protocol"]} == published
    assert published["protocol"] == {
        "glorot_fans": "published",
        "vcp": "input",
        "edge_noise": "published",
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
        ["variants.a.sharing: 0 is not allowed; expected a whole number of at least 1, or all"],
    ),
    (
        ["variants"],
        {"a": {"kind": "fcn", "glorot": "published"}},
        ["variants.a.glorot: unknown key", "did you mean glorot_fans?"],
    ),
    (["models"], [], ["models: [] is not allowed; expected at least 1 of them"]),
    (["device"], "tpu", ['device: "tpu" ', '"auto", "gpu", "cpu"']),
    (["gpu_shares"], 0, ["gpu_shares: 0 ", "at least 1"]),
    (["backend"], "torch", ['backend: "torch" ', '"tensorflow", "jax"']),
    (["precision"], "float16", ['precision: "float16" ', '"tf32", "mixed_bfloat16"']),
    (["keep_models"], "yes", ['keep_models: "yes" ', "true or false"]),
    (["seed"], 1.5, ["seed: 1.5 ", "a whole number"]),
    (["search"], {"layers": [2]}, ["search.learning_rates: missing", "search.datasets: missing"]),
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


def test_a_missing_key_is_named(read_config, schema):
    config = read_config()
    del config["protocol"]["vcp"], config["seed"]
    with pytest.raises(InputError) as error:
        check_config(config, schema)
    assert "protocol.vcp: missing" in str(error.value)
    assert "seed: missing" in str(error.value)


def test_every_fault_is_listed_once(read_config, schema):
    config = read_config()
    config["seed"] = "x"
    config["folds"]["count"] = 1
    with pytest.raises(InputError) as error:
        check_config(config, schema)
    assert len(str(error.value).splitlines()) == 3
