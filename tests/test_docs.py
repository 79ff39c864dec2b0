"""What the documentation tells users to write works as written."""

import doctest
import gzip
import hashlib
import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from freeconv.data.formats import open_dataset, read_npz
from freeconv.io import read_metadata
from freeconv.study.config import check_config, parse_study

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


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    """Run one of the scripts of docs/datasets.md in a folder of its own."""
    text = (ROOT / "docs/datasets.md").read_text()
    scripts = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL))
    assert sorted(scripts) == ["emnist.py", "openml.py", "table.py"]
    monkeypatch.chdir(tmp_path)
    return lambda name: exec(compile(scripts[name], name, "exec"), {})


def test_the_example_of_emnist_turns_images_upright(run_example, tmp_path):
    parts = {"train": (IMAGES[:20], LABELS[:20]), "test": (IMAGES[20:], LABELS[20:])}
    for part, (images, labels) in parts.items():
        for name, array in (
            ("images-idx3", images.transpose(0, 2, 1)),
            ("labels-idx1", labels + 1),
        ):
            path = tmp_path / f"emnist-letters-{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array)))
    run_example("emnist.py")
    images, labels = read_npz(tmp_path / "emnist-letters.npz")
    np.testing.assert_array_equal(images[..., 0], IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("as_frame", [False, True])
def test_the_example_of_openml_gives_images(run_example, tmp_path, monkeypatch, as_frame):
    """What scikit-learn gives are numbers of 64 bits, and texts as Python objects or categories."""

    def fetch(name, **options):
        assert (name, options["return_X_y"]) == ("mnist_784", True)
        pixels, labels = IMAGES.reshape(24, 784).astype(float), LABELS.astype(str).astype(object)
        if as_frame:
            return pd.DataFrame(pixels.astype(int)), pd.Series(labels, dtype="category")
        return pixels, labels

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    run_example("openml.py")
    images, labels = read_npz(tmp_path / "openml.npz")
    np.testing.assert_array_equal(images[..., 0], IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("place", ["first", "last"])
def test_the_example_of_a_table_gives_images(run_example, tmp_path, place):
    table = pd.DataFrame(IMAGES.reshape(24, 784), columns=[f"pixel{n}" for n in range(1, 785)])
    table.insert(0 if place == "first" else 784, "class", LABELS)
    table.to_csv(tmp_path / "mnist_784.csv", index=False)
    run_example("table.py")
    images, labels = read_npz(tmp_path / "table.npz")
    np.testing.assert_array_equal(images[..., 0], IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("document", ["layer.md"])
def test_examples_of_documents_give_what_they_say(document):
    failed, tried = doctest.testfile(str(ROOT / "docs" / document), module_relative=False)
    assert tried > 5
    assert failed == 0  # what differs is on stdout


PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "config/*.md", "docs/*.md", "results/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = "benchmarks|config|docs|envs|profiles|requirements|scripts|src|tests|workflow"
IN_REPOSITORY = re.compile(rf"(?:{FOLDERS})/\S+")


def read_page(page, code=False):
    """The text of a page; without its code, in which nothing is a link or a heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if code:
        return text
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)


def anchors(page):
    """The anchors that code hosts and the site give the headings of a page."""
    found = []
    for heading in re.findall(r"^#{1,6} (.+)$", read_page(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        assert anchor not in found, f"{page}: two headings {heading!r}"
        found.append(anchor)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    broken = []
    for target in LINK.findall(CODE.sub("", read_page(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
        if not file.is_file() or not file.is_relative_to(ROOT):
            broken.append(f"{target}: no such file of this project")
        elif anchor and anchor not in anchors(file.relative_to(ROOT)):
            broken.append(f"{target}: no such heading")
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_files_and_targets_that_pages_name_exist(page):
    text = read_page(page, code=True)
    named = {path.rstrip(".,:/") for path in IN_REPOSITORY.findall(" ".join(CODE.findall(text)))}
    files = {path for path in named if not re.search(r"[<>*{]|\.\.\.", path)}
    assert not [path for path in files if not (ROOT / path).exists()]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    makes = re.findall(r"(?:^ {4}|`)make ([a-z]+)", text, re.MULTILINE)
    assert set(makes) <= targets


def test_the_pages_are_found():
    assert {"README.md", "config/README.md", "docs/protocol.md", "CHANGELOG.md"} <= set(PAGES)
    assert "a-study-of-your-own" in anchors("README.md")
    assert "protocol.md" in LINK.findall(read_page("docs/index.md"))


def test_the_map_of_modules_is_complete():
    package = ROOT / "src/freeconv"
    modules = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.stem != "__init__"
    }
    section = read_page("docs/architecture.md").partition("\n## Modules\n")[2].partition("\n## ")[0]
    mapped = re.findall(r"^\| `([a-z0-9_.]+)` \| [^|]+ \|$", section, re.MULTILINE)
    assert sorted(mapped) == sorted(modules)


def test_the_map_of_scripts_is_complete():
    text = read_page("docs/architecture.md")
    section = text.partition("\n## Rules and scripts\n")[2].partition("\n## ")[0]
    scripts = {path.name for path in ROOT.glob("scripts/*.py")}
    assert set(re.findall(r"`(\w+\.py)`", section)) == scripts
    snakefiles = [ROOT / "workflow/Snakefile", *ROOT.glob("workflow/rules/**/*.smk")]
    rules = {path.relative_to(ROOT).as_posix() for path in snakefiles}
    assert set(re.findall(r"^\| `(workflow/\S+)` \|", section, re.MULTILINE)) == rules


def properties(schema):
    """The names of all properties in a schema, nested ones too."""
    if isinstance(schema, list):
        return set().union(*map(properties, schema))
    if not isinstance(schema, dict):
        return set()
    names = set(schema.get("properties", {}))
    return names.union(*map(properties, schema.values()))


def test_every_key_of_the_configuration_is_explained(schema):
    keys = properties(schema)
    assert {"study", "glorot_fans", "learning_rates", "sha256"} <= keys
    text = read_page("config/README.md", code=True)
    assert not sorted(key for key in keys if not re.search(rf"`(\S+\.)?{key}`", text))


def test_the_protocol_names_all_choices_and_the_paper_study_s(schema, read_config):
    text = read_page("docs/protocol.md", code=True)
    paper = read_config("config/config.yaml")["protocol"]
    for key, choices in schema["properties"]["protocol"]["properties"].items():
        (row,) = re.findall(rf"\| `protocol\.{key}`: (.+) \|", text)
        if "$ref" in choices:
            choices = schema["$defs"][choices["$ref"].rpartition("/")[2]]
        assert set(CODE.findall(row)) == set(choices["enum"])
        assert re.findall(r"\*\*`(\w+)`\*\*", row) == [paper[key]]


def test_the_site_is_built_without_a_warning_and_loads_nothing(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    run = subprocess.run(
        list(map(str, build)), cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for page in ROOT.glob("docs/*.md"):
        html = (tmp_path / f"{page.stem}.html").read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|link|img)\b[^>]*(?:src|href)=\"(?:https?:)?//", html)
    reference = (tmp_path / "reference.html").read_text(encoding="utf-8")
    assert 'id="freeconv.layers.FreeConv2D"' in reference


def counts_of_jobs(text):
    """Rule -> number of jobs that a dry run announces."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}


@pytest.fixture
def own_study(tmp_path):
    """A folder with the files of docs/extending.md, and the images that one of them draws."""
    text = (ROOT / "docs/extending.md").read_text()
    files = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, re.DOTALL))
    assert sorted(files) == ["brightness.py", "draw.py", "shapes.yaml"]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    subprocess.run([sys.executable, "draw.py"], cwd=tmp_path, check=True)
    return tmp_path


def test_a_study_of_ones_own_runs_to_the_end(snakemake, own_study):
    run = snakemake(own_study, "--configfile", own_study / "shapes.yaml")
    assert run.returncode == 0, run.stdout
    results = own_study / "results/shapes"
    records = open_dataset(own_study / "data/shapes.npy")
    assert records["image"].shape == (120, 16, 16, 1)
    assert records["label"][:6].tolist() == [0, 1, 2, 0, 1, 2]
    assert "class 1: disc" in (own_study / "logs/prepare/shapes.log").read_text()

    history = pd.read_parquet(results / "history.parquet")
    cells = {"none": 2, "brightness": 2}
    assert history.groupby("augmentation")["seed"].nunique().to_dict() == cells
    trained = history[history["epoch"] > 0].groupby(["model", "level"])["loss"]
    assert (trained.last() < trained.first()).all()
    evaluation = pd.read_parquet(results / "evaluation.parquet")
    assert set(evaluation.loc[evaluation["perturbation"] == "brightness", "strength"]) == {0.2}
    networks = pd.read_parquet(results / "networks/shapes.parquet")
    assert networks.loc[networks["kind"] == "free_convolution", "units"].tolist() == [8, 16]
    cell = results / "runs/shapes/fcn/brightness-0.3/vcp-0/data-1/fold-0/repeat-0/history.parquet"
    assert read_metadata(cell)["settings"]["network"] == "tiny"

    listed = re.findall(r"`(figures/\S+|tables/\S+)`", (ROOT / "docs/extending.md").read_text())
    assert len(listed) == 3
    for place in [*listed, "figures/shapes/six_panels_fcn_brightness"]:
        suffix = ".png" if place.startswith("figures") else ".md"
        path = results / (place.replace("<statistic>", "pooled_median") + suffix)
        assert path.stat().st_size > 0

    rerun = snakemake(own_study, "--configfile", own_study / "shapes.yaml", "--dry-run")
    assert "Nothing to be done" in rerun.stdout
    shutil.copy(own_study / "shapes/disc/0.png", own_study / "shapes/disc/another.png")
    rerun = snakemake(own_study, "--configfile", own_study / "shapes.yaml", "--dry-run")
    jobs = counts_of_jobs(rerun.stdout)
    assert (jobs["prepare"], jobs["folds"], jobs["train_run"]) == (1, 1, 4)
    (own_study / "shapes/disc/another.png").unlink()

    # Of another extension are all networks of it, and no run if its code is the same.
    code = (own_study / "brightness.py").read_text()
    (own_study / "brightness.py").write_text(f"# A comment.\n{code}")
    rerun = snakemake(own_study, "train", "--configfile", own_study / "shapes.yaml", "--dry-run")
    assert "Nothing to be done" in rerun.stdout
    (own_study / "brightness.py").write_text(code.replace("hidden=32", "hidden=33"))
    rerun = snakemake(own_study, "train", "--configfile", own_study / "shapes.yaml", "--dry-run")
    assert counts_of_jobs(rerun.stdout)["train_run"] == 4


def test_the_sources_of_the_documentation_are_as_they_must_be(read_config, schema):
    text = (ROOT / "docs/extending.md").read_text()
    (block,) = re.findall(r"^For instance\n\n((?:    .*\n)+)", text, re.MULTILINE)
    sources = yaml.safe_load(block.replace("...", "a" * 64))["sources"]
    config = read_config()
    config["sources"] |= sources
    config["datasets"] = dict.fromkeys(sources, config["datasets"]["digits"])
    assert parse_study(config, schema).datasets.keys() == sources.keys()
