import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

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


def test_a_missing_argument_is_named(capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Settings)
    with pytest.raises(SystemExit):
        parser.parse_args(["--name", "x", "--epochs", "3"])
    assert "--learning-rate" in capsys.readouterr().err
