import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from conftest import ROOT

from freeconv.arguments import add_arguments, format_arguments, format_value, parse_settings


@dataclass(frozen=True)
class Settings:
    """Settings of an experiment."""

    name: str = field(metadata={"help": "of it"})
    learning_rate: float = field(metadata={"help": "step size"})
    epochs: int = field(metadata={"help": "number of epochs"})


SETTINGS = [
    Settings("digits", 0.001, 12),
    Settings("it's; rm -rf $HOME `x`\n", 1e-12, 0),
    Settings("-", 0.1 + 0.2, -3),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_survive_the_shell(settings):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Settings)
    line = format_arguments(settings)
    printed = subprocess.run(
        f"{shlex.quote(sys.executable)} -c 'import sys; print(ascii(sys.argv[1:]))' {line}",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = shlex.split(line)
    assert printed.strip() == ascii(words)
    assert parse_settings(Settings, parser.parse_args(words)) == settings


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.3, "0.3"), (0.99, "0.99"), (1.0, "1"), (10, "10"), ("a", "a")],
)
def test_values_are_written_short(value, text):
    assert format_value(value) == text


SCRIPT = """
import logging, sys
from freeconv.arguments import run_script

def main(arguments):
    logging.getLogger("freeconv.module").info("as it should be")
    logging.getLogger("freeconv.module").warning("not as it should be")
    logging.getLogger("tensorflow").warning("of somebody else")
    for number in range(arguments.lines):
        print(number)

run_script("Print lines.", lambda parser: parser.add_argument("--lines", type=int), main)
"""


@pytest.fixture
def bash(tmp_path):
    """Run a line of Bash in which $SCRIPT runs a script that logs and prints."""
    (tmp_path / "script.py").write_text(SCRIPT)
    words = [sys.executable, str(tmp_path / "script.py")]
    environment = {"PYTHONPATH": str(ROOT / "src"), "SCRIPT": shlex.join(words)}

    def run(line):
        command = ["bash", "-c", f"set -o pipefail; {line}"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.parametrize(
    "line",
    [
        "$SCRIPT --lines 100000 | head -1",
        "$SCRIPT --lines 1 | true",
        "$SCRIPT --help | true",
        "$SCRIPT --lines 100000 2>&1 | head -1",
    ],
)
def test_a_reader_that_leaves_ends_a_script_without_a_word(bash, line):
    ended = bash(line)
    words = ("Traceback", "Broken", "Exception", "error")
    assert not [word for word in words if word in ended.stderr + ended.stdout]
    assert ended.returncode in (0, 1)


def test_warnings_are_seen_although_standard_error_is_a_log(bash):
    ended = bash("$SCRIPT --lines 0 2> log; cat log >&2")
    assert ended.stdout == "warning: not as it should be\n"
    logged = [line.partition(" ")[2] for line in ended.stderr.splitlines()]
    assert logged == [
        *("as it should be", "warning: not as it should be", "warning: of somebody else")
    ]


def test_warnings_are_seen_once_where_both_are_the_same(bash):
    assert bash("$SCRIPT --lines 0 2>&1").stdout.count("not as it should be") == 1


def test_a_reader_that_leaves_before_a_warning_does_not_matter(bash):
    """The job goes on: Snakemake may be read by `head`."""
    ended = bash("(sleep 0.3; $SCRIPT --lines 0 2> log; echo $? >> log) | true; cat log")
    assert ended.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in ended.stdout


def test_a_script_whose_standard_output_is_closed_runs(bash):
    ended = bash("$SCRIPT --lines 3 >&-")
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_argument_is_named(capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Settings)
    with pytest.raises(SystemExit):
        parser.parse_args(["--name", "x", "--epochs", "3"])
    assert "--learning-rate" in capsys.readouterr().err
