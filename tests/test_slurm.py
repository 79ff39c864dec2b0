"""The smoke study on a real cluster: Slurm's own daemons, with one node that is this machine.

Its two GPUs are device nodes that any machine has: Slurm hands them out, and jobs that ask for a
GPU where there is one find that there is none.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import yaml

SYSTEM_PATH = f"{os.defpath}:/usr/sbin:/usr/local/bin:/usr/local/sbin"
SECONDS = 600  # bounds whatever hangs; the run itself takes a fraction of it

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""

GPUS = """
NodeName=localhost Name=gpu File=/dev/null
NodeName=localhost Name=gpu File=/dev/zero
"""


def missing():
    """What keeps these tests from running here, or None."""
    if os.getuid() != 0:
        return "Slurm's daemons are started by root"
    programs = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel"]
    absent = [name for name in programs if not shutil.which(name, path=SYSTEM_PATH)]
    if absent:
        return f"not installed: {', '.join(absent)} (packages slurmctld, slurmd, munge)"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "not installed: snakemake-executor-plugin-slurm"
    return None


def free_ports(count):
    with ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in opened]


def wait_for(condition, what):
    """The first true value of a condition."""
    end = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)
    return value


class Cluster:
    """Slurm on this machine, all of its files in one folder."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        (folder / "bin").mkdir()
        self.configuration = folder / "slurm.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=folder, ports=free_ports(2)))
        (folder / "gres.conf").write_text(GPUS)
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        # The plugin starts job steps without Slurm's variables in their environment; a real
        # cluster has its configuration where srun looks for it by itself.
        srun = folder / "bin/srun"
        real = shutil.which("srun", path=SYSTEM_PATH)
        srun.write_text(
            f'#!/bin/sh\nSLURM_CONF={self.configuration} exec timeout {SECONDS} {real} "$@"\n'
        )
        srun.chmod(0o755)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SLURM_")},
            "PATH": f"{folder}/bin:{SYSTEM_PATH}",
            "SLURM_CONF": str(self.configuration),
        }

    @contextmanager
    def running(self):
        """Munge, which tells Slurm who asks, and Slurm; ended whatever happens."""
        socket, key = self.folder / "munge.socket", self.folder / "munge.key"
        names = ["log-file", "pid-file", "seed-file"]
        options = [f"--{name}={self.folder}/munge.{name}" for name in names]
        options += [f"--socket={socket}", f"--key-file={key}"]
        with ExitStack() as daemons:
            self.start(daemons, "munged", "--foreground", "--force", *options)
            wait_for(socket.exists, "munge")
            self.start(daemons, "slurmctld", "-D", "-c")
            self.start(daemons, "slurmd", "-D", "-N", "localhost")
            wait_for(lambda: self.call("sinfo", "-h", "-o", "%T") == "idle\n", "the node")
            yield self

    def start(self, daemons, name, *options):
        output = daemons.enter_context((self.folder / f"{name}.output").open("w"))
        command = ["timeout", "-k", "5", str(2 * SECONDS), name, *options]
        daemon = subprocess.Popen(
            command, env=self.environment, stdout=output, stderr=subprocess.STDOUT
        )
        daemons.callback(daemon.wait, SECONDS)
        daemons.callback(daemon.terminate)  # the first of the two

    def call(self, *command):
        """What one of Slurm's commands prints on both streams, whether or not it succeeds."""
        run = subprocess.run(
            ["timeout", "-k", "5", "60", *command],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return run.stdout

    def submissions(self):
        """Every submission: its number, state, what it runs, and how many GPUs it asked for."""
        rows = []
        for line in self.call("scontrol", "show", "jobs", "--oneliner").splitlines():
            values = dict(re.findall(r"(\w+)=(\S+)", line))
            group = values["Comment"].removeprefix("rule_").partition("_")[0]
            asked = re.search(r"gpu:(\d+)", values.get("TresPerJob", ""))
            gpus = int(asked[1]) if asked else 0
            rows.append((values["JobId"], values["JobState"], group, gpus))
        return pd.DataFrame(rows, columns=["number", "state", "group", "gpus"])


@pytest.fixture(scope="module")
def cluster():
    if reason := missing():
        pytest.skip(reason)
    # Not in pytest's folder: the path of a socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = Cluster(Path(folder))
        with cluster.running():
            yield cluster


@pytest.fixture(scope="module")
def run(root, smoke, cluster, tmp_path_factory):
    """A finished run of the smoke study, of which one submission was cancelled as it computed.

    It comes after the `smoke` that it is compared with, in the process that has that one, and so
    there is one run for all tests.
    """
    directory = tmp_path_factory.mktemp("cluster")
    change = directory / "change.yaml"
    change.write_text(yaml.safe_dump({"device": "auto"}))
    command = ["timeout", "-k", "5", SECONDS, sys.executable, "-m", "snakemake"]
    command += ["results/smoke/overview.html"]  # every kind of submission, and few figures
    command += ["--snakefile", root / "Snakefile", "--directory", directory]
    command += ["--profile", root / "profiles/slurm"]
    command += ["--configfile", root / ".test/config/config.yaml", change]
    # What is another cluster's: no accounting, little to wait for, small groups.
    command += ["--slurm-status-command", "squeue", "--latency-wait", "10"]
    command += ["--slurm-init-seconds-before-status-checks", "1"]
    command += ["--seconds-between-status-checks", "1", "--group-components", "runs=3"]
    with (directory / "output").open("w") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            env=cluster.environment | {"TMPDIR": str(cluster.folder)},
            cwd=root,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            cancelled = wait_for(lambda: computing(process, cluster, directory), "a run")
            cluster.call("scancel", cancelled)
            status = process.wait()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # it cancels what it has submitted
                process.wait(60)
    assert status == 0, (directory / "output").read_text()
    return directory, cancelled


def computing(process, cluster, directory):
    """The number of a submission whose runs have begun to train, or None."""
    assert process.poll() is None, (directory / "output").read_text()
    for log in directory.glob("logs/smoke/train/**/*.log"):
        if " epoch 0" in log.read_text():
            jobs = cluster.submissions()
            running = jobs[(jobs["state"] == "RUNNING") & (jobs["group"] == "runs")]
            return running["number"].min() if len(running) else None
    return None


def test_the_profile_groups_rules_that_exist(root, snakemake, tmp_path):
    profile = yaml.safe_load((root / "profiles/slurm/config.yaml").read_text())
    run = snakemake(tmp_path, "--list-rules", "--configfile", root / ".test/config/config.yaml")
    assert run.returncode == 0, run.stdout
    rules, groups = zip(*(item.split("=") for item in profile["groups"]), strict=True)
    assert set(rules) <= set(run.stdout.split())
    assert {item.partition("=")[0] for item in profile["group-components"]} <= set(groups)


def test_a_cancelled_submission_is_repeated(run, cluster):
    _, cancelled = run
    jobs = cluster.submissions().set_index("number")
    assert jobs["state"][cancelled] == "CANCELLED"
    assert set(jobs["state"].drop(cancelled)) == {"COMPLETED"}


def test_runs_are_submitted_together(run, cluster):
    """Five of them in groups of three, one of which came twice."""
    groups = cluster.submissions()["group"].value_counts()
    assert groups["runs"] == 3
    assert groups["data"] == 1


def test_runs_ask_for_a_gpu_each_and_take_the_one_they_are_given(run, cluster):
    """None of them computes on it: it is no GPU."""
    directory, _ = run
    jobs = cluster.submissions()
    assert set(jobs["gpus"][jobs["group"] == "runs"]) == {1}
    assert set(jobs["gpus"][jobs["group"] != "runs"]) == {0}
    logs = [log.read_text() for log in directory.glob("logs/smoke/*/digits/**/fold-1/repeat-0.log")]
    assert len(logs) == 10  # training and evaluation
    for log in logs:
        assert re.search(r"gpu: [01], 1 of 1 shares\n", log), log
        assert "device: cpu, 1 thread" in log


def test_the_cluster_computes_what_this_machine_does(run, results):
    directory, _ = run
    for name in ("history.parquet", "evaluation.parquet"):
        frames = [
            pd.read_parquet(folder / name) for folder in (directory / "results/smoke", results)
        ]
        first, second = (frame.drop(columns="seconds", errors="ignore") for frame in frames)
        pd.testing.assert_frame_equal(first, second, check_exact=True)
