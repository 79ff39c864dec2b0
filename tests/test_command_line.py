import json
import shlex
import subprocess
import sys
from dataclasses import dataclass

import pytest
from conftest import ROOT

from freeconv.command_line import read_settings
from freeconv.errors import InputError
from freeconv.study.settings import format_value


@dataclass(frozen=True)
class Settings:
    """Settings of an experiment."""

    name: str
    learning_rate: float
    epochs: int


SETTINGS = [
    Settings("digits", 0.001, 12),
    Settings("it's; rm -rf $HOME `x`\n", 1e-12, 0),
    Settings("-", 0.1 + 0.2, -3),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_survive_the_shell_and_a_file(settings, tmp_path):
    text = json.dumps(vars(settings))
    printed = subprocess.run(
        f"{shlex.quote(sys.executable)} -c 'import sys; print(sys.argv[1])' {shlex.quote(text)}",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert read_settings(Settings, printed) == settings
    (tmp_path / "settings.json").write_text(text)
    assert read_settings(Settings, str(tmp_path / "settings.json")) == settings


def test_whole_numbers_are_numbers():
    (rate,) = {read_settings(Settings, '{"name": "a", "learning_rate": 1, "epochs": 2}')}
    assert isinstance(rate.learning_rate, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.json", r"^none\.json: .*No such file.*; expected the fields of Settings as JSON"),
        ("{", "^settings: Expecting .*; expected the fields of Settings as JSON"),
        (
            '{"name": "a"}',
            "fields of Settings, name, learning_rate, epochs; found name",
        ),
        ('{"name": "a", "learning_rate": "1", "epochs": 2}', "learning_rate: '1' is .* float"),
        (
            '{"name": "a", "learning_rate": 1, "epochs": 2.0}',
            r"epochs: 2\.0 is .* expected int",
        ),
        ('{"name": "a", "learning_rate": 1, "epochs": true}', "epochs: True is not .*expected int"),
    ],
)
def test_wrong_settings_are_named(text, message):
    with pytest.raises(InputError, match=message):
        read_settings(Settings, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.3, "0.3"), (0.99, "0.99"), (1.0, "1"), (10, "10"), ("a", "a")],
)
def test_values_are_written_short(value, text):
    assert format_value(value) == text


SCRIPT = """
import logging, sys
from freeconv.command_line import run_script

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
