"""Locks on GPUs that need not exist: the cards are names, the jobs are processes."""

import os
import stat
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from freeconv.errors import InputError
from freeconv.training import devices, gpu_locks
from freeconv.training.gpu_locks import Card, Share, list_cards, memory_of, take_card

JOB = """
import logging, sys
from pathlib import Path
from freeconv.training import gpu_locks
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
gpu_locks.POLL_SECONDS = 0.05
cards = [gpu_locks.Card(name, name) for name in sys.argv[2].split(",")]
gpu_locks.take_card(cards, gpu_locks.Share.parse(sys.argv[3]), Path(sys.argv[1]))
sys.stdin.read()
"""

UUIDS = ["GPU-aaaaaaaa-0000", "GPU-bbbbbbbb-1111"]


@pytest.fixture
def start_job(root, tmp_path):
    """Start a job that takes a share of one of some cards, and keeps it until it is ended."""
    with ExitStack() as jobs:

        def start(cards, share="1/1"):
            job = jobs.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", JOB, tmp_path, cards, share],
                    env={**os.environ, "PYTHONPATH": str(root / "src")},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            jobs.callback(job.kill)
            return job

        yield start


def said(job):
    """The next line of a job's log."""
    return job.stdout.readline().strip()


def card_of(job):
    """The card that a job has, once it has one."""
    line = said(job)
    assert line.endswith("shares"), line
    return line.removeprefix("gpu: ").partition(",")[0]


def end(job):
    job.stdin.close()
    assert job.wait() == 0


def test_every_job_has_a_card_of_its_own_and_one_too_many_waits(start_job):
    first, second = start_job("0,1"), start_job("0,1")
    assert {card_of(first), card_of(second)} == {"0", "1"}
    third = start_job("0,1")
    assert said(third) == "gpu: 0, 1: all GPUs are busy; waiting for a share"
    end(second)
    assert card_of(third) in {"0", "1"}


def test_a_killed_job_gives_its_card_back(start_job):
    killed = start_job("0")
    assert card_of(killed) == "0"
    waiting = start_job("0")
    assert "waiting" in said(waiting)
    killed.kill()
    assert card_of(waiting) == "0"


def test_the_emptiest_card_is_filled_first(start_job):
    jobs = []
    for expected in ["0", "1", "2", "0", "1", "2"]:
        jobs.append(start_job("0,1,2", "1/2"))
        assert card_of(jobs[-1]) == expected
    waiting = start_job("0,1,2", "1/2")
    assert "waiting" in said(waiting)
    end(jobs[4])
    assert card_of(waiting) == "1"


def test_a_whole_card_waits_for_all_its_shares_and_is_not_overtaken(start_job):
    first, second = start_job("0", "1/2"), start_job("0", "1/2")
    assert card_of(first) == card_of(second) == "0"
    whole = start_job("0", "2/2")
    assert "waiting" in said(whole)
    end(first)
    later = start_job("0", "1/2")
    assert "waiting" in said(later)  # although a share is free
    end(second)
    assert card_of(whole) == "0"
    end(whole)
    assert card_of(later) == "0"


def test_who_waits_for_one_card_takes_another_one_that_is_free_sooner(start_job):
    first = start_job("0,1", "1/2")
    assert card_of(first) == "0"
    second = start_job("0,1", "1/2")
    assert card_of(second) == "1"
    whole = start_job("0,1", "2/2")
    assert "waiting" in said(whole)
    end(second)
    assert card_of(whole) == "1"
    last = start_job("0,1", "1/2")
    assert card_of(last) == "0"  # kept for nobody any more


def test_a_card_is_divided_in_one_way_at_a_time(start_job):
    quarter = start_job("0,1", "1/4")
    assert card_of(quarter) == "0"
    half = start_job("0,1", "1/2")
    assert card_of(half) == "1"
    whole = start_job("0,1")
    assert "waiting" in said(whole)
    end(quarter)
    assert card_of(whole) == "0"


def test_a_share_is_given_back_by_hand(tmp_path):
    cards = [Card("0", "0")]
    for _ in range(2):
        take_card(cards, Share(), tmp_path).release()


@pytest.mark.parametrize(
    ("text", "share"), [("1/1", Share()), ("1/4", Share(1, 4)), ("4/4", Share(4, 4))]
)
def test_shares_are_read(text, share):
    assert Share.parse(text) == share


@pytest.mark.parametrize("text", ["", "1", "0/1", "2/1", "1/0", "-1/2", "1/4/2", "0.5/1"])
def test_no_share_is_refused(text):
    with pytest.raises(InputError, match="is not allowed; expected TAKEN/SHARES"):
        Share.parse(text)


def nvidia_smi(output):
    """A `subprocess.run` with a driver that lists these cards."""

    def run(command, **options):
        assert command[0] == "nvidia-smi"
        return SimpleNamespace(stdout=output)

    return run


def no_nvidia_smi(command, **options):
    raise FileNotFoundError(command[0])


TWO_CARDS = "".join(
    f"GPU {index}: NVIDIA H200 (UUID: {uuid})\n" for index, uuid in enumerate(UUIDS)
)
A_DIVIDED_CARD = (
    f"GPU 0: NVIDIA A100 (UUID: {UUIDS[0]})\n"
    "  MIG 3g.20gb     Device  0: (UUID: MIG-cc)\n"
    "  MIG 3g.20gb     Device  1: (UUID: MIG-dd)\n"
    f"GPU 1: NVIDIA A100 (UUID: {UUIDS[1]})\n"
)


@pytest.mark.parametrize(
    ("output", "names"),
    [(TWO_CARDS, UUIDS), (A_DIVIDED_CARD, ["MIG-cc", "MIG-dd", UUIDS[1]]), ("", [])],
)
def test_cards_are_those_of_the_driver(tmp_path, output, names):
    cards = list_cards({}, nvidia_smi(output), tmp_path)
    assert cards == [Card(name, name) for name in names]


@pytest.mark.parametrize(
    ("visible", "cards"),
    [
        ("1", [Card("1", UUIDS[1])]),
        (" 1, 0,1", [Card("1", UUIDS[1]), Card("0", UUIDS[0])]),
        (UUIDS[1], [Card(UUIDS[1], UUIDS[1])]),
        ("MIG-cc", [Card("MIG-cc", "MIG-cc")]),
        ("0,-1,1", [Card("0", UUIDS[0])]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_cards_are_those_that_are_visible(visible, cards):
    environment = {"CUDA_VISIBLE_DEVICES": visible}
    assert list_cards(environment, nvidia_smi(TWO_CARDS)) == cards


def test_cards_are_counted_where_the_driver_lists_none(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert list_cards({}, no_nvidia_smi, tmp_path) == [Card("0", "0"), Card("1", "1")]


def test_jobs_of_slurm_that_count_from_0_have_different_cards():
    environments = [{"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": job} for job in ("7", "8")]
    (first,), (second,) = [list_cards(each, no_nvidia_smi) for each in environments]
    assert first.name == second.name == "0"
    assert first.key != second.key


def test_the_memory_of_a_card_is_known_or_not():
    card = Card("0", UUIDS[0])
    assert memory_of(card, nvidia_smi("143771\n")) == 143771
    assert memory_of(card, nvidia_smi("[N/A]\n")) is None
    assert memory_of(card, no_nvidia_smi) is None


def test_locks_are_in_a_folder_of_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_locks.tempfile, "tempdir", str(tmp_path))
    take_card([Card("0", "../0")], Share()).release()
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["___0", "queue"]
    folder.chmod(0o777)
    with pytest.raises(InputError, match="mode 700"):
        take_card([Card("0", "0")], Share())


def test_a_folder_that_points_elsewhere_is_refused(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"freeconv-gpus-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(gpu_locks.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InputError, match="mode 700"):
        take_card([Card("0", "0")], Share())


@pytest.fixture
def config():
    """What TensorFlow is told of its devices."""
    told = {}
    return SimpleNamespace(
        told=told,
        LogicalDeviceConfiguration=lambda memory_limit: memory_limit,
        set_logical_device_configuration=told.__setitem__,
    )


def test_a_share_bounds_the_memory_of_tensorflow(config, monkeypatch):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    devices._bound_memory(config, "GPU:0", Share(1, 4), 10000)
    assert config.told == {"GPU:0": [2250]}
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


@pytest.mark.parametrize(
    ("share", "memory"), [(Share(), 10000), (Share(4, 4), 10000), (Share(1, 4), None)]
)
def test_a_whole_card_and_an_unknown_one_are_not_bounded(config, share, memory):
    devices._bound_memory(config, "GPU:0", share, memory)
    assert config.told == {}
