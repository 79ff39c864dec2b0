"""Custom augmentations and networks: named by a study, refused, and run."""

import textwrap

import numpy as np
import pytest
from keras import ops

from freeconv.errors import InputError
from freeconv.results.components import evaluation_code, training_code
from freeconv.study import extensions, outputs
from freeconv.study.config import parse_study
from freeconv.training import augmentation, models
from freeconv.training.augmentation import augment
from freeconv.training.engine import Condition, Evaluator, Trainer, on_device
from freeconv.training.example_images import perturbed_images
from freeconv.training.models import build_model

IMPORTS = """\
import keras
from keras import ops
from freeconv import Convolution, FreeConv2D, Network, extensions
"""
BRIGHTNESS = """
@extensions.augmentation("brightness")
def brighten(images, level, generator):
    shape = (ops.shape(images)[0], 1, 1, 1)
    change = keras.random.uniform(shape, -1.0, 1.0, seed=generator)
    return images + ops.cast(level, "float32") * change
"""
TINY = """
@extensions.network("tiny")
def tiny():
    return Network((Convolution(3, 4, 2), Convolution(3, 6, 1)), hidden=5)
"""
BUILT = """
@extensions.network("built")
def built(kind, input_shape, classes, layers):
    convolution = keras.layers.Conv2D if kind == "cnn" else FreeConv2D
    inputs = x = keras.Input(input_shape)
    for _ in range(layers):
        x = convolution(4, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs)
"""


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch):
    monkeypatch.setattr(extensions, "_registered", {"augmentation": {}, "network": {}})
    monkeypatch.delitem(extensions.sys.modules, "freeconv_extension", raising=False)
    yield
    extensions.sys.modules.pop("freeconv_extension", None)


@pytest.fixture
def write(tmp_path):
    def write(*parts):
        path = tmp_path / "it's mine.py"
        path.write_text(IMPORTS + "".join(map(textwrap.dedent, parts)))
        return path

    return write


def described(path, **names):
    """The key `extension` of a study."""
    keys = ("augmentations", "networks", "built_networks")
    return {"file": str(path), **dict.fromkeys(keys, ()), **names}


def test_a_study_is_read_without_running_the_file(write, tmp_path):
    path = write(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    extension = extensions.Extension.from_config(described(path, networks=["tiny"]))
    assert extension == extensions.Extension(str(path), networks=("tiny",))
    assert not (tmp_path / "ran").exists()


def test_a_file_runs_once(write, tmp_path):
    path = write(TINY, f"open({str(tmp_path / 'ran')!r}, 'a').write('.')")
    extensions.load(path)
    extensions.load(path)
    extensions.check_registered(extensions.Extension(str(path), networks=("tiny",)))
    assert (tmp_path / "ran").read_text() == "."


def test_a_path_needs_no_ending(write, tmp_path):
    extensions.load(write(TINY).rename(tmp_path / "mine"))
    assert extensions.own_network("tiny")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"networks": ["tiny"]}, None),
        ({"augmentations": ["brightness"], "built_networks": ["built"]}, None),
        (
            {"networks": ["built"]},
            r"extension\.networks: .*it's mine\.py registers no built of this kind; it registers "
            "augmentations: brightness; networks: tiny; built_networks: built",
        ),
        ({"augmentations": ["shear"]}, r"extension\.augmentations: .*registers no shear"),
    ],
)
def test_a_file_registers_what_the_study_says(write, names, message):
    path = write(BRIGHTNESS, TINY, BUILT)
    extension = extensions.Extension.from_config(described(path, **names))
    if message is None:
        extensions.check_registered(extension)
        return
    with pytest.raises(InputError, match=message):
        extensions.check_registered(extension)


def test_names_of_a_study_are_its_own(write):
    path = write(TINY)
    with pytest.raises(InputError, match="the name noise is taken; choose another"):
        extensions.Extension.from_config(described(path, augmentations=["noise"]))
    with pytest.raises(InputError, match="the name a is taken; choose another"):
        extensions.Extension.from_config(described(path, networks=["a"], built_networks=["a"]))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.py: no such file; .*looked for from /"):
        extensions.Extension.from_config(described(tmp_path / "none.py"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (TINY + "\nx = 1 / 0", "line 9: ZeroDivisionError: division by zero"),
        (TINY + "\nimport nothing_of_this_name", "line 9: ModuleNotFoundError: .*nothing_of_this"),
        ("def f(:", r"mine\.py: SyntaxError: .*line 4"),
        ("@extensions.network('A b')\ndef f(): pass", "'A b' is not allowed as a name; .*lower"),
        (TINY + TINY, "the name tiny is taken; choose another"),
        (
            "@extensions.network('a')\ndef f(kind): pass",
            r"\(kind\); expected \(\) or \(kind, input_shape, classes, layers\)",
        ),
    ],
)
def test_failing_files_are_named(write, code, message):
    with pytest.raises(InputError, match=message):
        extensions.load(write(code))


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("noise", lambda images, level, generator: images, "the name noise is taken"),
        ("mine", lambda images: images, r"has the parameters \(images\)"),
        ("Mine", lambda images, level, generator: images, "'Mine' is not allowed as a name"),
    ],
)
def test_decorators_check_by_themselves(name, function, message):
    with pytest.raises(InputError, match=message):
        extensions.augmentation(name)(function)


def test_all_names_of_the_library_are_taken():
    names = {*augmentation.AUGMENTATIONS, *augmentation.PERTURBATIONS, *models.NETWORKS}
    assert set(extensions.TAKEN) == names


IMAGES = np.random.default_rng(0).uniform(size=(8, 9, 9, 1)).astype(np.float32)


def test_augments(write):
    extensions.load(write(BRIGHTNESS))
    augmented = augment(ops.convert_to_tensor(IMAGES), "brightness", 0.5, 3)
    changes = ops.convert_to_numpy(augmented) - IMAGES
    np.testing.assert_allclose(
        changes, np.broadcast_to(changes[:, :1, :1], changes.shape), atol=1e-6
    )
    assert len(np.unique(changes[:, 0, 0, 0].round(4))) == 8
    assert 0.2 < np.abs(changes).max() <= 0.5


def test_unknown_augmentations_are_still_refused():
    with pytest.raises(ValueError, match="Unknown augmentation `kind`: 'brightness'"):
        augment(ops.convert_to_tensor(IMAGES), "brightness", 0.5, 3)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("images[:, 1:]", r"\(8, 8, 9, 1\) of float32; expected \(8, 9, 9, 1\) of float32"),
        ("ops.cast(images, 'int32')", r"gives images \(8, 9, 9, 1\) of int32"),
    ],
)
def test_what_an_augmentation_gives_is_checked(write, result, message):
    code = f"@extensions.augmentation('a')\ndef f(images, level, generator): return {result}"
    extensions.load(write(code))
    with pytest.raises(InputError, match=rf"augmentation a: .*{message}"):
        augment(ops.convert_to_tensor(IMAGES), "a", 0.5, 3)


def test_errors_in_the_compiled_loop_name_the_augmentation(write):
    """TensorFlow puts its own account of the loop around them."""
    code = "@extensions.augmentation('a')\ndef f(images, level, generator): return images[:, 1:]"
    extensions.load(write(code))
    model = build_model("cnn", models.Network((models.Convolution(3, 2, 1),), 3), (9, 9, 1), 3)
    images, labels = on_device((IMAGES * 255).astype(np.uint8), np.arange(8) % 3)
    arguments = {"learning_rate": 0.01, "batch_size": 4}
    trainer = Trainer(model, augmentation="a", level=0.3, **arguments)
    with pytest.raises(Exception, match=r"augmentation a: gives images \(None, 8, 9, 1\)"):
        trainer.epoch(images, labels, np.random.SeedSequence(0))


def test_examples_show_own_augmentations(write):
    extensions.load(write(BRIGHTNESS))
    images = perturbed_images(IMAGES[0])
    changes = [images["brightness", level].mean() - IMAGES[0].mean() for level in (0.1, 0.2, 0.4)]
    np.testing.assert_allclose(np.divide(changes, changes[0]), [1, 2, 4], rtol=1e-4)


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_networks_of_sizes_are_like_the_papers(write, kind):
    extensions.load(write(TINY))
    model = build_model(kind, "tiny", (9, 9, 1), 3, seed=1)
    assert [layer.name for layer in model.layers if layer.weights] == [
        *("conv1", "conv2", "hidden", "output")
    ]
    assert model.get_layer("conv2").output.shape == (None, 2, 2, 6)
    assert model.get_layer("hidden").units == 5
    assert len(build_model(kind, "tiny", (9, 9, 1), 3, layers=1).layers) == len(model.layers) - 1
    with pytest.raises(InputError, match="`layers` must be from 1 to 2"):
        build_model(kind, "tiny", (9, 9, 1), 3, layers=3)


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_built_networks_follow_from_the_seed(write, kind):
    extensions.load(write(BUILT))
    one, same, other = (
        build_model(kind, "built", (9, 9, 1), 3, layers=2, seed=seed).get_weights()
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(*pair) for pair in zip(one, same, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_built_networks_train_with_own_augmentations(write, kind):
    """In the compiled loops, and statistics of batches among the weights."""
    extensions.load(write(BRIGHTNESS, BUILT))
    model = build_model(kind, "built", (9, 9, 1), 3, layers=2, seed=1)
    before = model.get_weights()
    images, labels = on_device((IMAGES * 255).astype(np.uint8), np.arange(8) % 3)
    arguments = {"learning_rate": 0.01, "batch_size": 4}
    trainer = Trainer(model, augmentation="brightness", level=0.3, **arguments)
    loss, _ = trainer.epoch(images, labels, np.random.SeedSequence(0))
    assert np.isfinite(loss)
    assert not any(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    conditions = [Condition("clean", 0.0), Condition("brightness", 0.5)]
    evaluator = Evaluator(model, conditions=conditions, batch_size=4)
    measurement = evaluator.measure(images, labels, np.random.SeedSequence(0))
    assert measurement.losses[0] != measurement.losses[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("return keras.Model(inputs, outputs)", "return 3"), "gives int; expected a keras.Model"),
        (("Dense(classes", "Dense(classes + 1"), r"\(None, 4\); expected .*\(None, 3\)"),
        (('dtype="float32"', 'dtype="float16"'), "its output is float16; give the last layer"),
        (('if kind == "cnn" else FreeConv2D', ""), "kind='fcn' must have FreeConv2D"),
        (
            ("return keras.Model(inputs, outputs)", "return keras.Sequential([FreeConv2D(4, 3)])"),
            "gives Sequential; expected a keras.Model that knows its input",
        ),
        (
            ("4, 3, activation", "4, 3, dtype='mixed_float16', activation"),
            "the layer free_conv2d.* computes in float16",
        ),
        (
            ("4, 3, activation", "4, 3, dtype='bfloat16', activation"),
            "the weight free_conv2d.*kernel is bfloat16; expected float32",
        ),
    ],
)
def test_what_a_network_gives_is_checked(write, change, message):
    assert change[0] in BUILT
    extensions.load(write(BUILT.replace(*change)))
    with pytest.raises(InputError, match=f"network built: .*{message}"):
        build_model("fcn", "built", (9, 9, 1), 3, layers=1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "class Own(keras.Model):\n  def train_step(self, data): ...",
            "Own has a train_step of its",
        ),
        (
            "class Own(keras.Model):\n  def compute_loss(self, **data): ...",
            "Own has a compute_loss",
        ),
        (
            "class Own(keras.Model):\n  def __init__(self, *ends):\n    super().__init__(*ends)\n"
            "    self.compile(loss='mse')",
            r"is compiled; studies train by Adam on the cross-entropy .*: leave compile\(\) out",
        ),
    ],
)
def test_a_network_that_would_be_trained_in_another_way_is_refused(write, model, message):
    own = BUILT.replace("keras.Model(inputs, outputs)", "Own(inputs, outputs)")
    extensions.load(write(f"{model}\n", own))
    with pytest.raises(InputError, match=f"network built: {message}"):
        build_model("cnn", "built", (9, 9, 1), 3, layers=1)


def test_sizes_must_be_a_network(write):
    extensions.load(write("@extensions.network('a')\ndef f(): return [3]"))
    with pytest.raises(InputError, match=r"network a: gives list; expected a freeconv\.Network"):
        build_model("fcn", "a", (9, 9, 1), 3)


def test_built_networks_know_no_absent_connections(write):
    extensions.load(write(BUILT))
    with pytest.raises(InputError, match="not for networks built by a function, such as built"):
        build_model("fcn", "built", (9, 9, 1), 3, layers=1, vcp=0.5)


@pytest.fixture
def config(read_config, write):
    config = read_config(".test/config/config.yaml")
    names = {"augmentations": ["brightness"], "networks": ["tiny"], "built_networks": ["built"]}
    config["extension"] = {"file": str(write(BRIGHTNESS, TINY, BUILT)), **names}
    return config


def test_a_study_may_use_what_its_extension_brings(config, schema):
    config["augmentations"]["brightness"] = [0, 0.4]
    config["evaluation"]["brightness"] = [0.2]
    config["datasets"]["digits"] |= {"network": "tiny", "layers": 5}
    study = parse_study(config, schema)
    assert {run.augmentation for run in study.runs()} == {"none", "translation", "brightness"}
    assert {study.settings_of(run).network for run in study.runs()} == {"tiny"}
    assert study.evaluation["brightness"] == (0.2,)
    figures = outputs.figures_of(study, "digits")
    assert {"six_panels_fcn_brightness", "brightness_examples"} <= set(figures)
    assert outputs.figure("brightness_examples").title == "Examples of brightness"
    assert "pooled_median/own_brightness" in outputs.tables_of(study)
    assert outputs.table("pooled_median/own_brightness").needs.augmentation == "brightness"


def test_an_extension_is_for_its_own_names_alone(config, schema):
    study = parse_study(config, schema)
    assert study.extension_for("translation", "mnist") is None
    assert study.extension_for("translation", "tiny") == config["extension"]["file"]
    assert study.extension_for("brightness") == config["extension"]["file"]


def test_settings_of_other_runs_stay_as_they_were(config, schema):
    with_extension = parse_study(config, schema)
    without = parse_study(config | {"extension": None}, schema)
    assert without.extension_for("brightness") is None
    for run in without.runs():
        assert with_extension.settings_of(run) == without.settings_of(run)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("augmentations", "shear"), [0.1], r"augmentations\.shear: unknown key .*brightness"),
        (("evaluation", "shear"), [0.1], r"evaluation\.shear: unknown key"),
        (("validation", "brightness"), 0.1, r"validation\.brightness: unknown key"),
        (("augmentations", "brightness"), [2], r"brightness\[0\]: 2 is not allowed; .*at most 1"),
        (("datasets", "digits", "network"), "huge", r'"huge" .*"cifar10", "tiny", "built"'),
        (("datasets", "digits", "layers"), 4, r"layers: 4 is not allowed; expected at most 3"),
        (("datasets", "digits", "network"), "built", "vcp: the network built of datasets.digits"),
        (("extension",), 3, "extension: 3 is not allowed; expected a mapping of keys to values"),
        (("extension", "file"), "none.py", r"extension\.file: none\.py: no such file"),
        (("extension", "networks"), ["A b"], r'networks\[0\]: "A b" is not allowed; .*lower-case'),
        (("extension", "network"), ["tiny"], "unknown key .*did you mean networks"),
        (("extension",), None, r"augmentations\.brightness: unknown key"),
    ],
)
def test_faults_of_a_study_are_named(config, schema, path, value, message):
    config["augmentations"]["brightness"] = [0.4]
    *parents, last = path
    place = config
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(InputError, match=message):
        parse_study(config, schema)


def test_networks_that_a_function_builds_have_no_variants_of_free_layers(config, schema):
    config["datasets"]["digits"]["network"], config["vcp"] = "built", None
    config["models"].append("tiles")
    config["variants"] = {"tiles": {"kind": "fcn", "sharing": 2}}
    message = "variants.tiles: the network built of datasets.digits .* knows of no variants"
    with pytest.raises(InputError, match=message):
        parse_study(config, schema)
    config["variants"]["tiles"] = {"kind": "fcn", "edge_noise": "code"}
    assert parse_study(config, schema).varies("edge_noise")


def test_the_schema_itself_stays_as_it_is(config, schema):
    before = repr(schema)
    parse_study(config, schema)
    assert repr(schema) == before


def test_results_record_the_code_of_the_extension(config, schema, write):
    study = parse_study(config, schema)
    run = study.runs()[0]
    settings = study.settings_of(run)
    path = write(TINY)
    plain = training_code(settings)
    first = training_code(settings, path)
    assert plain.items() < first.items()
    assert first.keys() - plain.keys() == {"extension"}
    assert evaluation_code(settings, path)["extension"] == first["extension"]
    assert training_code(settings, write("# A comment.", TINY)) == first
    assert training_code(settings, write(TINY.replace("5", "6"))) != first


def test_which_jobs_need_the_extension(config, schema):
    config["augmentations"]["brightness"] = [0.4]
    study = parse_study(config, schema)
    by_kind = {run.augmentation: study.settings_of(run) for run in study.runs()}
    path = config["extension"]["file"]
    assert study.extension_of_training(by_kind["brightness"]) == path
    assert study.extension_of_training(by_kind["translation"]) is None
    assert study.extension_of_evaluation(by_kind["brightness"]) is None
    config["evaluation"]["brightness"] = [0.4]
    study = parse_study(config, schema)
    assert study.extension_of_evaluation(by_kind["translation"]) == path
