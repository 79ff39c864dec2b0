"""What a run is said to take in memory, against networks as they are built."""

from dataclasses import replace

import psutil
import pytest

from freeconv.study import memory
from freeconv.study.memory import UNKNOWN, USUAL_IMAGES, memory_of_run, sizes_of_network
from freeconv.training.engine import base
from freeconv.training.engine.base import activation_bytes
from freeconv.training.models import build_model


@pytest.fixture
def settings(read_config):
    from freeconv.study.grid import Study

    study = Study.from_config(read_config("config/config.yaml"))
    return {
        (run.dataset, run.model): study.settings_of(run) for run in study.runs() if run.fold == 0
    }


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
@pytest.mark.parametrize(("network", "shape"), [("mnist", (28, 28, 1)), ("cifar10", (40, 33, 3))])
def test_sizes_are_those_of_the_network_as_it_is_built(settings, network, shape, kind):
    model = build_model(kind, network, shape, 10)
    weights, activations = sizes_of_network(settings[network, kind], shape)
    output = 1024 * 10 + 10
    assert weights == model.count_params() - output
    # Keras counts one for the batch, and 10 classes.
    assert 4 * (activations + 10) == pytest.approx(activation_bytes(model), abs=8)


def test_conditions_at_once_are_those_of_the_engine():
    """Rules that ask for memory load no framework, so that the number stands in both places."""
    assert memory._BYTES_AT_ONCE == base.ACTIVATION_BYTES


def test_more_takes_more(settings):
    small = settings["mnist", "fcn"]
    usual = memory_of_run(small, *USUAL_IMAGES["mnist"], "cpu")
    assert 1_000 < usual < 2_500
    for changed in (
        memory_of_run(replace(small, batch_size=512), *USUAL_IMAGES["mnist"], "cpu"),
        memory_of_run(small, (64, 64, 1), 70_000, "cpu"),
        memory_of_run(small, (28, 28, 1), 700_000, "cpu"),
        memory_of_run(small, *USUAL_IMAGES["mnist"], "gpu"),
    ):
        assert changed > usual


def test_a_network_of_an_extension_is_unknown(settings):
    own = replace(settings["mnist", "fcn"], network="mine")
    assert memory_of_run(own, (), 0, "cpu") == UNKNOWN


def test_memory_of_this_machine():
    """A container may have less of it."""
    assert 500 < memory.memory_of_machine() <= psutil.virtual_memory().total / 2**20
