"""Where the images of a data set come from, as a configuration says it."""

import pytest

from freeconv.data.sources import check_source, files_of
from freeconv.errors import InputError
from freeconv.study.grid import Study

DIGEST = "0" * 64
DOWNLOADED = {"name": "images.zip", "sha256": DIGEST}
IDX = ("train_images", "train_labels", "test_images", "test_labels")


@pytest.mark.parametrize(
    "source",
    [
        {"format": "digits"},
        {"format": "npz", "path": "images.npz"},
        {"format": "npz", "path": "images.npz", "arrays": [["x", "y"]]},
        {"format": "folder", "files": {"archive": DOWNLOADED}},
        {"format": "folder", "files": {"archive": {"path": "images"}}},
        {"format": "idx", "files": {role: {"path": role} for role in IDX}},
        # A study's source is laid over one of the same name.
        {"format": "folder", "path": "images", "files": dict.fromkeys(IDX, DOWNLOADED)},
        {"format": "cifar10", "files": {"archive": DOWNLOADED | {"path": "cifar.tar.gz"}}},
    ],
)
def test_sources_that_will_do(source):
    check_source("mine", source)


def test_our_sources_will_do(read_config):
    for name, source in read_config()["sources"].items():
        check_source(name, source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"format": "npz"}, r"sources\.mine\.files\.archive: missing.*give sources\.mine\.path"),
        ({"format": "idx", "path": "a"}, r"sources\.mine\.path: .*train_images.*each under"),
        ({"format": "digits", "path": "a"}, r"sources\.mine\.path: .*digits is made of no file"),
        (
            {"format": "folder", "files": {"archive": {"name": "a.zip"}}},
            r"sources\.mine\.files\.archive\.sha256: missing; .*downloaded",
        ),
        (
            {"format": "cifar10", "files": {"archive": DOWNLOADED, "other": DOWNLOADED}},
            r"files\.other: unknown file; the format cifar10 is made of archive",
        ),
        (
            {"format": "folder", "path": "a", "arrays": [["x", "y"]]},
            r"sources\.mine\.arrays: only the format npz",
        ),
    ],
)
def test_faults_are_named(source, message):
    with pytest.raises(InputError, match=message):
        check_source("mine", source)


def test_a_path_goes_before_a_download():
    files = files_of({"files": {"archive": DOWNLOADED | {"path": "here.zip"}}})
    assert files["archive"].path == "here.zip"
    assert files["archive"].name is None


def test_places_do_not_count_for_results(read_config):
    """Where files lie, here or elsewhere, is no part of what a result was computed from."""
    config = read_config(".test/config/config.yaml")

    def digest(source):
        config["sources"]["digits"] = source
        return Study.from_config(config).sources["digits"]

    assert digest({"format": "npz", "path": "a"}) == digest({"format": "npz", "path": "b"})
    files = {"archive": {"path": "a"}}, {"archive": {"path": "b"}}
    assert len({digest({"format": "npz", "files": file}) for file in files}) == 1
    downloaded = {"format": "npz", "files": {"archive": DOWNLOADED}}
    other = {"format": "npz", "files": {"archive": DOWNLOADED | {"sha256": "1" * 64}}}
    assert digest(downloaded) != digest(other)
    assert digest(downloaded) == digest(downloaded | {"urls": ["https://localhost"]})
