"""Fixtures that several test modules share."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def schema():
    return yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


@pytest.fixture
def read_config():
    """The configuration of a study as the workflow sees it: data sources and study."""

    def read(name="config/demo.yaml"):
        sources = yaml.safe_load((ROOT / "config/datasets.yaml").read_text())
        return sources | yaml.safe_load((ROOT / name).read_text())

    return read
