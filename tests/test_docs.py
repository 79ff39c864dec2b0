"""What the documentation tells users to write works as written."""

import doctest
import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
import yaml
from conftest import ROOT

from freeconv.config import check_config
from freeconv.datasets import open_dataset

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 28, 28), np.uint8)
LABELS = np.tile(np.arange(8, dtype=np.uint8), 3)
PARTS = {
    "train_images": IMAGES[:20],
    "train_labels": LABELS[:20],
    "test_images": IMAGES[20:],
    "test_labels": LABELS[20:],
}


def idx(array):
    """An array of bytes in the IDX format: magic number, sizes, content."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.fixture
def other_datasets(tmp_path):
    """The study of docs/datasets.md, with a mirror and digests of images made up here."""
    text = (ROOT / "docs/datasets.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    study = yaml.safe_load(block)
    for dataset, source in study["sources"].items():
        for role, file in source["files"].items():
            content = idx(PARTS[role])
            file["sha256"] = hashlib.sha256(content).hexdigest()
            path = tmp_path / "my mirror" / dataset / file["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(content))
    return study


def test_other_data_sets_need_a_configuration_alone(snakemake, schema, tmp_path, other_datasets):
    check_config(other_datasets | {"mirror": None}, schema)
    (tmp_path / "clothes.yaml").write_text(yaml.safe_dump(other_datasets))
    prepared = [f"data/{name}.npy" for name in other_datasets["datasets"]]
    run = snakemake(
        *(tmp_path, *prepared, "--configfile", tmp_path / "clothes.yaml"),
        *("--config", f"mirror={tmp_path / 'my mirror'}"),
    )
    assert run.returncode == 0, run.stdout
    for path in prepared:
        records = open_dataset(tmp_path / path)
        np.testing.assert_array_equal(records["image"][..., 0], IMAGES)
        np.testing.assert_array_equal(records["label"], LABELS)


@pytest.mark.parametrize("document", ["layer.md"])
def test_examples_of_documents_give_what_they_say(document):
    failed, tried = doctest.testfile(str(ROOT / "docs" / document), module_relative=False)
    assert tried > 5
    assert failed == 0  # what differs is on stdout
