"""That the benchmarks compare like with like, time fairly, and report what they measured."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import epochs, gpu, layer_memory, layers, report, stacks
from benchmarks.__main__ import SUBJECTS, main
from benchmarks.costs import run_process
from benchmarks.harness import (
    Aim,
    Options,
    calls_of_a_turn,
    interleave,
    measurement,
    missing,
    take_turn,
)
from benchmarks.peers import jax_local, locally_connected, ours, torch_unfold
from benchmarks.workers import Contender, Worker, race
from freeconv.errors import InputError
from freeconv.study.grid import Study
from freeconv.training.models import NETWORKS, build_model

SMALL = stacks.Stack("mnist", (stacks.Layer(7, 6, 2, 3, 4, 2, "valid"),), 3, input_gradient=True)
WHOLE = stacks.network("mnist", 2)

PEERS = {
    **{
        f"tf_keras {number}": lambda stack, number=number: locally_connected.LocallyConnectedStack(
            stack, number, xla=False
        )
        for number in (1, 2, 3)
    },
    "tf_keras 1 xla": lambda stack: locally_connected.LocallyConnectedStack(stack, 1, xla=True),
    "jax": jax_local.JaxStack,
    "torch": torch_unfold.TorchStack,
}


def peer(name, stack):
    pytest.importorskip(name.split()[0])
    return PEERS[name](stack)


def gradient_arrays(step):
    """All gradients of a step in one flat list: kernel and bias of each layer, then the input."""
    flat = []
    for part in step:
        flat += gradient_arrays(part) if isinstance(part, list | tuple) else [np.asarray(part)]
    return flat


@pytest.mark.parametrize("name", PEERS)
def test_peers_compute_our_features_and_gradients(name):
    free, other = ours.KerasStack(SMALL, "fcn"), peer(name, SMALL)
    assert np.abs(free.features()).max() > 0.5
    np.testing.assert_allclose(other.features(), free.features(), rtol=1e-4, atol=1e-5)
    kernel, bias, images = gradient_arrays(free.step())
    their_kernel, their_bias, their_images = gradient_arrays(other.step())
    if name == "torch":
        their_bias = their_bias.T.reshape(bias.shape)
        their_images = their_images.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(their_bias, bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(their_images, images, rtol=1e-4, atol=1e-5)
    # Layouts of kernels differ; zeros of implementation 2 are no weights.
    np.testing.assert_allclose(
        np.sort(their_kernel[their_kernel != 0]), np.sort(kernel[kernel != 0]), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("name", ["tf_keras 1", "jax", "torch"])
def test_peers_compute_our_networks(name):
    free, other = ours.KerasStack(WHOLE, "fcn"), peer(name, WHOLE)
    assert free.features().shape == (2, 4 * 4 * 128)
    np.testing.assert_allclose(other.features(), free.features(), rtol=1e-3, atol=1e-4)
    # The images need no gradient.
    assert len(gradient_arrays(free.step())) == len(gradient_arrays(other.step())) == 6


def test_ordinary_convolutions_are_the_free_ones_of_the_first_position():
    free, ordinary = (ours.KerasStack(SMALL, kind).features() for kind in ("fcn", "cnn"))
    np.testing.assert_allclose(ordinary[:, :4], free[:, :4], rtol=1e-5, atol=1e-6)


def test_networks_are_those_of_the_library():
    assert NETWORKS.keys() == stacks.NETWORKS.keys()
    for name, network in NETWORKS.items():
        sizes = [(c.kernel_size, c.filters, c.stride) for c in network.convolutions]
        assert sizes == list(stacks.NETWORKS[name][1])


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_the_published_network_has_the_parameters_of_ours(kind):
    pytest.importorskip("tf_keras")
    shape, _ = stacks.NETWORKS["mnist"]
    theirs, mine = epochs.published_model("mnist", kind), build_model(kind, "mnist", shape, 10)
    assert [tuple(w.shape) for w in theirs.weights] == [tuple(w.shape) for w in mine.weights]


def test_operations_of_the_products_are_counted_by_hand():
    # 13 x 13 positions, 9 inputs, 32 filters; 6 x 6, 288, 64; 4 x 4, 576, 128.
    first, second, third = 169 * 9 * 32, 36 * 288 * 64, 16 * 576 * 128
    # Forward and two gradients, but none towards the images; 2 operations a product.
    assert stacks.network("mnist", 256).product_flops() == 2 * 256 * (
        2 * first + 3 * second + 3 * third
    )
    assert stacks.single_layer("mnist", 2, "valid", 1).product_flops() == 2 * 3 * second
    # `same` keeps 7 x 7 positions of the 13 x 13 inputs.
    assert stacks.single_layer("mnist", 2, "same", 1).product_flops() == 2 * 3 * 49 * 288 * 64
    assert stacks.single_layer("cifar10", 1, "valid", 1).product_flops() == 4 * 196 * 75 * 64


def test_the_floor_is_the_share_of_the_product():
    product = measurement("layers", "case", layers.FLOOR, "time", [2.0, 4.0, 6.0], "ms")
    floor = layers.floor_of(product, 2048**3)
    assert (floor.low, floor.median, floor.high) == (1.5, 2.0, 2.5)


def test_contenders_take_turns():
    turns = []

    def contender(name):
        def turn():
            turns.append(name)
            return [len(turns)]

        return turn

    samples = interleave({n: contender(n) for n in "abc"}, rounds=3, sleep=lambda seconds: None)
    assert turns == [*"abc", *"cba", *"abc"]
    assert samples == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_a_turn_times_its_calls_alone():
    now, durations = [0.0], iter([100.0, 1.0, 2.0, 4.0])

    def function():
        now[0] += next(durations)

    assert take_turn(function, 3, lead=True, clock=lambda: now[0]) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("seconds", "calls"), [(1e-6, 20), (0.05, 4), (0.2, 1), (9.0, 1)])
def test_slow_calls_are_fewer(seconds, calls):
    assert calls_of_a_turn(seconds) == calls


def test_a_measurement_is_median_and_quartiles():
    row = measurement("s", "c", "i", "time", [5.0, 1.0, 2.0, 4.0, 3.0], "ms", "n")
    assert row == ("s", "c", "i", "time", 3.0, 2.0, 4.0, 5, "ms", "n")
    assert measurement("s", "c", "i", "time", [7.0], "ms")[4:8] == (7.0, 7.0, 7.0, 1)


# What workers of these tests do is done by functions of the standard library, so that their
# processes import nothing heavy.
@pytest.fixture
def make_worker(tmp_path):
    workers = []

    def make(patience):
        workers.append(Worker(1, abs, patience, tmp_path / "log"))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def test_a_race_names_who_could_not_take_part(make_worker):
    worker = make_worker(60)
    contenders = [
        Contender("slow", worker, partial, (time.sleep, 0.01)),
        Contender("fast", worker, partial, (time.sleep, 0.001)),
        Contender("wrong", worker, int, ("word",)),
        Contender("absent", worker, import_module, ("no_such_package",)),
        Contender("fatal", worker, os._exit, (1,)),
    ]
    samples, reasons = race(contenders, rounds=2, single=True)
    # Who was ready before a process ended is ready again after it.
    assert {name: len(seconds) for name, seconds in samples.items()} == {"slow": 2, "fast": 2}
    assert min(samples["slow"]) >= 0.01
    assert reasons["wrong"].startswith("ValueError: invalid literal")
    assert reasons["absent"] == "not installed (pip install no_such_package)"
    assert "its process ended" in reasons["fatal"]


def test_our_own_failure_ends_the_run(make_worker):
    contender = Contender("ours", make_worker(60), int, ("word",), required=True)
    with pytest.raises(RuntimeError, match="ours: ValueError"):
        race([contender], rounds=1)


def test_a_peer_that_takes_too_long_is_left_out(make_worker):
    worker = make_worker(5)
    samples, reasons = race(
        [
            Contender("stuck", worker, partial, (time.sleep, 600)),
            Contender("quick", worker, partial, (abs, 1)),
        ],
        rounds=1,
        single=True,
    )
    assert samples.keys() == {"quick"}
    assert reasons == {"stuck": "not ready after 5 s"}


MEASUREMENTS = [
    measurement("layers", "case", layers.OURS, "time", [10.0], "ms"),
    measurement("layers", "case", "slow", "time", [40.0], "ms"),
    measurement("layers", "case", "fast", "time", [25.0], "ms"),
    measurement("layers", "case", layers.FLOOR, "time", [5.0], "ms"),
    missing("layers", "case", "absent", "time", "ms", "not installed (pip install absent)"),
]


@pytest.mark.parametrize(
    ("words", "value", "verdict"),
    [
        (((layers.OURS,), (layers.FLOOR,), "at most", 2.0), 2.0, "met"),
        (((layers.OURS,), (layers.FLOOR,), "at most", 1.9), 2.0, "missed"),
        ((("slow", "fast", "absent"), (layers.OURS,), "at least", 2.5), 2.5, "met"),
        ((("slow",), (layers.OURS,), "at least", 4.1), 4.0, "missed"),
        ((("absent",), (layers.OURS,), "at least", 1.0), None, "not measured"),
        (((layers.OURS,), ("absent",), "at most", 1.0), None, "not measured"),
        (((layers.OURS,), (), "at most", 10.0), 10.0, "met"),
        (((layers.OURS,), ("slow",)), 0.25, ""),
    ],
)
def test_comparisons_divide_medians(words, value, verdict):
    ((case, _, found, unit, *_, judged),) = report.compare(
        [Aim("case", "words", *words)], MEASUREMENTS
    )
    assert (case, found, judged) == ("case", value, verdict)
    assert unit == ("ms" if words[1] == () else "")


def test_aims_name_what_the_subjects_measure():
    """Each implementation named by an aim of layers is one that a race of layers has."""
    options = Options(threads=1, quick=False, log=None)
    made = [aim for subject in SUBJECTS.values() for aim in subject.aims(options)]
    assert len({(aim.case, aim.words) for aim in made}) == len(made)
    known = {layers.OURS, layers.CONV, layers.FLOOR, layers.JAX, layers.TORCH}
    known |= {layers.UNSHARED, *layers.LOCALLY_CONNECTED.values()}
    named = {name for aim in layers.aims(options) for name in aim.above + aim.below}
    assert named == known


MACHINE = {
    "date": "2020-02-02",
    "commit": "abc",
    "processor": "Abacus",
    "cores": 2,
    "threads": 1,
    "memory_gib": 3,
    "system": "Linux x86_64",
    "quick": True,
    "versions": {"python": "3.11"},
}


def test_a_report_holds_machine_medians_and_verdicts(tmp_path):
    aim = Aim("case", "ours / floor", (layers.OURS,), (layers.FLOOR,), "at most", 3)
    report.write_records(tmp_path, MEASUREMENTS, report.compare([aim], MEASUREMENTS), MACHINE)
    text = report.render(tmp_path)
    assert (tmp_path / "benchmarks.md").read_text() == text
    assert "2020-02-02, commit abc; a quick run" in text
    assert "Abacus, 2 cores, 1 threads used" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["case", "ours / floor", "2", "at most 3", "met"] in rows
    assert ["", "slow", "time", "40 ms", "40 to 40", "1", ""] in rows
    assert ["", "absent", "time", "-", "", "0", "not installed (pip install absent)"] in rows


def test_tables_replace_those_of_an_earlier_run_in_a_document(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.insert("new\n", document)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "new" in text
    assert "old" not in text
    document.write_text("no place")
    with pytest.raises(InputError, match=r"performance\.md: has no place"):
        report.insert("new", document)


def test_the_document_has_a_place_for_the_tables(root):
    text = (root / "docs/performance.md").read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "layers,speed"], "--only: no subject 'speed'"),
        (["--threads", "0"], "--threads: 0 is not allowed"),
    ],
)
def test_wrong_arguments_are_refused(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as error:
        main()
    assert words in str(error.value)


def test_the_cost_of_a_process_is_its_own(tmp_path):
    script = tmp_path / "hungry.py"
    script.write_text("held = bytearray(80 * 2**20)\nsum(range(10**7))\nprint('no such thing')")
    usage = run_process([sys.executable, script], tmp_path, tmp_path / "log")
    assert 80 < usage.memory < 140
    assert usage.processor_seconds > 0.05
    assert (tmp_path / "log").read_text() == "no such thing\n"
    script.write_text("raise SystemExit('another thing')")
    with pytest.raises(RuntimeError, match="failed:\nanother thing"):
        run_process([sys.executable, script], tmp_path, tmp_path / "log")


def test_a_stack_says_how_many_kernels_it_has():
    for sharing, kernels in ((1, 36), (2, 9), (4, 4), ("all", 1)):
        layer = stacks.Layer(6, 6, 2, 3, 4, 1, "same", sharing)
        stack = stacks.Stack("", (layer,), 2, input_gradient=True)
        assert layer.kernels == kernels
        features = ours.KerasStack(stack, "fcn").features()
        assert features.shape == (2, 36 * 4)


def test_the_work_of_a_step_is_counted_by_hand(read_config):
    study = Study.from_config(read_config("config/config.yaml"))
    run = next(run for run in study.runs() if (run.dataset, run.model) == ("mnist", "fcn"))
    work = gpu.work_of_step(study.settings_of(run), (28, 28, 1))
    dense = 3 * 2 * 256 * (2048 * 1024 + 1024 * 10)
    assert work.operations == stacks.network("mnist", 256).product_flops() + dense
    kernels = 169 * 10 * 32 + 36 * 289 * 64 + 16 * 577 * 128
    weights = kernels + 2049 * 1024
    patches = 169 * 9 + 36 * 288 + 16 * 576
    outputs = 784 + 169 * 32 + 36 * 64 + 16 * 128 + 2048 + 1024
    assert work.bytes == 4 * (11 * weights + 6 * 256 * (patches + outputs))


def test_the_slowest_of_operations_bytes_and_starts_limits_a_step():
    card = gpu.Card(operations=100.0, bandwidth=10.0, start=0.001)
    assert gpu.seconds_of_step(gpu.Work(200.0, 5.0, 10), card) == (2.0, "operations")
    assert gpu.seconds_of_step(gpu.Work(200.0, 50.0, 10), card) == (5.0, "bytes")
    work = gpu.Work(1.0, 0.1, 100)
    assert gpu.seconds_of_step(work, card) == (0.1, "starts")
    assert gpu.runs_at_once(work, card) == 10
    assert gpu.runs_at_once(gpu.Work(200.0, 5.0, 10), card) == 1


def test_without_a_card_the_script_for_gpus_says_so(root):
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        cwd=root,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(root / "src")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone counts it so")
def test_memory_that_a_layer_cannot_do_without(root, tmp_path, monkeypatch):
    """Images, features and their gradients, the weights and theirs: counted by hand."""
    monkeypatch.chdir(tmp_path)
    stack = replace(stacks.single_layer("mnist", 2, "valid", 10), input_gradient=True)
    monkeypatch.setitem(stacks.LARGE, "small", stack)
    monkeypatch.setattr(layer_memory, "ours", SimpleNamespace(single=ours.single, set_up=id))
    layer_memory.main("small", "cnn", "peak.json")
    peak, held = json.loads((tmp_path / "peak.json").read_text())
    images, features, weights = 10 * 13 * 13 * 32, 10 * 6 * 6 * 64, (3 * 3 * 32 + 1) * 64
    assert held == pytest.approx(2 * 4 * (images + features + weights) / 2**20)
    assert peak >= 0
