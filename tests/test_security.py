"""What the project promises of untrusted input: nothing of it is run, by Python or by a shell."""

import ast
import hashlib
import re
import zipfile

import numpy as np
import pytest
import yaml
from conftest import ROOT

from freeconv.data.formats import open_dataset

SOURCES = sorted(
    path for folder in ("src", "scripts", "benchmarks") for path in (ROOT / folder).glob("**/*.py")
)
RULES = [
    *(ROOT / "Snakefile", ROOT / "workflow/Snakefile"),
    *sorted(ROOT.glob("workflow/rules/**/*.smk")),
]

# Modules, and functions by the last part of their name, that run or load what they are given.
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {
    *("eval", "exec", "__import__", "popen", "getoutput", "getstatusoutput"),
    *("read_pickle", "extractall", "unpack_archive", "unsafe_load", "full_load", "literal_eval"),
    "enable_unsafe_deserialization",
}


def dangers(code):
    """What is dangerous in Python code, a line each."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            found += dangers_of_call(node)
            continue
        else:
            continue
        found += [name for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
    return found


def dangers_of_call(call):
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    owner = getattr(getattr(call.func, "value", None), "id", "")
    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    bad = name in FORBIDDEN_CALLS or (owner, name) == ("os", "system")
    bad |= arguments.get("shell", "False") != "False"
    bad |= arguments.get("safe_mode", "True") != "True"
    bad |= arguments.get("verify", "True") != "True"
    bad |= owner == "np" and name == "load" and arguments.get("allow_pickle") != "False"
    bad |= arguments.get("allow_pickle", "False") != "False"
    bad |= owner == "yaml" and name == "load" and arguments.get("Loader") != "_Loader"
    return [ast.unparse(call)] * bad


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_file_runs_or_unpickles_data(path):
    assert dangers(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from joblib import load", "eval('1')", "exec(text)"),
        *("os.system('ls')", "subprocess.run('ls', shell=True)", "np.load(path)"),
        *("np.load(path, allow_pickle=True)", "yaml.load(text, Loader=yaml.Loader)"),
        *("pd.read_pickle(path)", "archive.extractall()", "load_model(path, safe_mode=False)"),
        *("requests.get(url, verify=False)", "np.save(path, array, allow_pickle=True)"),
    ],
)
def test_the_search_for_dangers_finds_them(code):
    assert len(dangers(code)) == 1


# What a command may hold without quotes: numbers, words of a closed list, and what
# `shlex` has quoted already.
QUOTED = {
    *("params.settings", "params.extension", "params.content", "params.addresses"),
    "params.pictures",
    *("params.format", "params.files", "params.trained"),
    *("threads", "resources.device", "resources.gpu_share"),
}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_value_in_a_command_is_quoted(path):
    text = path.read_text("utf-8")
    commands = re.findall(r"^    shell:\n((?:        .*\n)+)", text, re.MULTILINE)
    assert len(commands) == len(re.findall(r"^    shell:", text, re.MULTILINE))
    for value in re.findall(r"\{([^{}]+)\}", "".join(commands)):
        assert value.endswith(":q") or value in QUOTED, value


def test_what_is_quoted_elsewhere_goes_through_shlex():
    text = "\n\n".join(path.read_text("utf-8") for path in RULES)
    functions = dict(re.findall(r"^def (\w+)\(.*\n((?: .*\n|\n)+)", text, re.MULTILINE))
    for name in (
        *("fold_settings", "format_of_images", "files_of_images", "extension_argument"),
        *("download_content", "download_addresses", "picture_arguments"),
    ):
        assert re.search(r"return shlex\.(join|quote)\(", functions[name]), name
    for name in ("run_settings", "trial_settings"):
        assert "return training_settings(" in functions[name]
    for name in ("training_settings", "evaluation_settings"):
        returned = r'return f"(--|{prefix})settings {shlex.quote\(.*\)} {extension}"'
        assert re.search(returned, functions[name])
        assert "extension = extension_argument(" in functions[name]
    assert "return extension_argument(" in functions["extension_input"]


# Each would leave a file if a shell or Python ever ran it.
EVIL = [
    "it's $(touch ran) here",
    "`touch ran`",
    '"; touch ran; "',
    "a && touch ran #",
    "$HOME ~ * ?",
    "\\ \\' \\n",
]
REFUSED = ["line\nbreak", "{wildcard}", "{params}", "-n", "tab\there", ""]


@pytest.fixture
def study():
    return yaml.safe_load((ROOT / ".test/config/config.yaml").read_text())


def run(snakemake, folder, study, *arguments):
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return snakemake(folder, *arguments, "--configfile", folder / "study.yaml")


def test_paths_reach_scripts_as_they_are(snakemake, tmp_path, study):
    """All evil names at once: of folder, file, extension and mirror; and what is downloaded."""
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    targets = []
    for number, evil in enumerate(EVIL):
        name = f"images_{number}"
        targets.append(f"data/{name}.npy")
        folder = tmp_path / f"{number} {evil}"
        folder.mkdir()
        np.savez(folder / "a.npz", x=images, y=[0, 1])
        study["datasets"][name] = study["datasets"]["digits"]
        study.setdefault("sources", {})[name] = {
            "format": "npz",
            "path": f"{number} {evil}/a.npz",
        }
    mirror = tmp_path / EVIL[0]
    (mirror / "fetched").mkdir(parents=True)
    np.savez(mirror / "fetched/a.npz", x=images, y=[0, 1])
    digest = hashlib.sha256((mirror / "fetched/a.npz").read_bytes()).hexdigest()
    study["datasets"]["fetched"] = study["datasets"]["digits"]
    study["sources"]["fetched"] = {
        "format": "npz",
        "urls": [f"https://localhost:1/{evil}" for evil in EVIL],
        "files": {"archive": {"name": "a.npz", "sha256": digest}},
    }
    study["mirror"] = EVIL[0]
    targets.append("data/fetched.npy")
    ran = run(snakemake, tmp_path, study, *targets)
    assert ran.returncode == 0, ran.stdout
    for target in targets:
        np.testing.assert_array_equal(open_dataset(tmp_path / target)["image"][..., 0], images)
    assert not list(tmp_path.glob("**/ran"))


def test_an_extension_of_any_name_reaches_a_job(snakemake, tmp_path, study):
    study["extension"] = {"file": f"{EVIL[0]}.py", "networks": ["tiny"]}
    (tmp_path / study["extension"]["file"]).write_text(
        "from freeconv import Convolution, Network, extensions\n"
        "@extensions.network('tiny')\n"
        "def tiny(): return Network((Convolution(3, 2, 2),), 2)\n"
    )
    study["datasets"]["digits"] |= {"network": "tiny", "layers": 1}
    ran = run(snakemake, tmp_path, study, "results/smoke/networks/digits.parquet")
    assert ran.returncode == 0, ran.stdout
    assert not list(tmp_path.glob("**/ran"))


def test_names_and_paths_that_no_shell_should_see_are_refused(snakemake, tmp_path, study):
    """All at once: a message lists every fault."""
    keys = []
    for place, evil in enumerate([*EVIL, *REFUSED]):
        study["datasets"][evil] = study["datasets"]["digits"]
        study.setdefault("sources", {})[f"file_{place}"] = {
            "format": "idx",
            "files": {"train_images": {"name": evil, "sha256": "0" * 63 + "\n"}},
        }
        keys += [f"sources.file_{place}.files.train_images.{key}: " for key in ("name", "sha256")]
    for place, evil in enumerate(REFUSED):
        study["sources"][f"path_{place}"] = {"format": "npz", "path": evil, "arrays": [["x", evil]]}
        keys += [f"sources.path_{place}.path: ", f"sources.path_{place}.arrays[0][1]: "]
    study["sources"]["url"] = {"format": "npz", "urls": ["http://localhost/", "file:///etc"]}
    keys += ["sources.url.urls[0]: ", "sources.url.urls[1]: "]
    study["study"] = EVIL[0]
    keys.append("study: ")
    ran = run(snakemake, tmp_path, study, "--dry-run")
    assert ran.returncode == 1
    faults = [line for line in ran.stdout.splitlines() if " is not allowed; expected " in line]
    for key in keys:
        assert len([fault for fault in faults if fault.startswith(f"  - {key}")]) == 1, key
    names = [fault for fault in faults if fault.startswith("  - datasets: ")]
    assert len(names) == len(EVIL) + len(REFUSED)
    assert {path.name for path in tmp_path.iterdir()} <= {".snakemake", "study.yaml"}


@pytest.mark.parametrize(
    "target",
    [
        "data/raw/mnist/$(touch ran)",
        "data/raw/mnist/a;touch ran",
        "results/smoke/tables/pooled_median/$(touch ran).md",
        "results/smoke/figures/digits/`touch ran`.png",
        "results/$(touch ran)/history.parquet",
    ],
)
def test_no_target_reaches_a_shell(snakemake, tmp_path, study, target):
    ran = run(snakemake, tmp_path, study, target)
    assert ran.returncode == 1
    assert "MissingRuleException" in ran.stdout
    assert not list(tmp_path.glob("**/ran"))


def test_a_harmful_archive_fails_its_job_and_leaves_nothing(snakemake, tmp_path, study):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("../../escaped.png", b"escaped")
    study["sources"] = {"digits": {"format": "folder", "path": "images.zip"}}
    ran = run(snakemake, tmp_path, study, "data/digits.npy")
    assert ran.returncode == 1
    log = (tmp_path / "logs/prepare/digits.log").read_text()
    assert re.search(r"error: images\.zip: holds '../../escaped\.png', .* refused", log)
    assert "Traceback" not in log
    assert not list(tmp_path.parent.parent.glob("**/escaped*"))
    assert not (tmp_path / "data/digits.npy").exists()
