import re
import tomllib

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$", re.M)


def read_lock(path, python):
    """Name -> version of a lock file, for one version of Python on Linux."""
    machine = {
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    return {
        pin["name"]: pin["version"]
        for pin in PIN.finditer(path.read_text())
        if pin["marker"] is None or Marker(pin["marker"]).evaluate(machine)
    }


@pytest.mark.parametrize("name", ["analysis", "data", "train", "train-gpu"])
def test_environments_pin_what_the_lock_file_pins(root, name):
    *conda, pip = yaml.safe_load((root / f"envs/{name}.yaml").read_text())["dependencies"]
    python = re.fullmatch(r"python=(\d+\.\d+)", conda[0])[1]
    locked = read_lock(root / "requirements/workflow.txt", python)
    pins = [Requirement(pin) for pin in pip["pip"]]
    assert pins
    assert {pin.name: str(pin.specifier) for pin in pins} == {
        pin.name: f"=={locked[pin.name]}" for pin in pins
    }


@pytest.mark.parametrize(
    ("part", "whole"),
    [("workflow", "test"), ("workflow", "bench"), ("docs", "test"), ("gpu", "workflow")],
)
def test_lock_files_pin_the_same_versions(root, part, whole):
    pinned = read_lock(root / f"requirements/{part}.txt", "3.11")
    if part == "gpu":  # CUDA's packages are nobody else's
        assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= pinned.keys()
        pinned = {name: pin for name, pin in pinned.items() if not name.startswith("nvidia-")}
    assert pinned
    assert pinned.items() <= read_lock(root / f"requirements/{whole}.txt", "3.11").items()


@pytest.mark.parametrize("name", ["keras", "tensorflow", "numpy", "jax"])
def test_the_lowest_versions_are_those_that_are_allowed(root, name):
    project = tomllib.loads((root / "pyproject.toml").read_text())
    listed = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["tensorflow"],
        *project["dependency-groups"]["layer"],
    ]
    (allowed,) = (item for item in map(Requirement, listed) if item.name == name)
    (lowest,) = (bound.version for bound in allowed.specifier if bound.operator == ">=")
    pinned = read_lock(root / "requirements/lowest.txt", "3.11")[name]
    assert Version(pinned) == Version(lowest)


@pytest.mark.parametrize("name", ["workflow", "gpu", "docs", "test", "bench", "lowest"])
def test_every_pin_has_hashes_and_no_address(root, name):
    text = (root / f"requirements/{name}.txt").read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=[A-Za-z])", text)
    pins = [block for block in blocks if PIN.match(block)]
    assert len(pins) == len(PIN.findall(text))
    assert all("--hash=sha256:" in block for block in pins)
