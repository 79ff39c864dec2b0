"""The library is used without the workflow around it."""

import subprocess
import sys

MODULES = """
import sys
from importlib import import_module
from pkgutil import walk_packages


class NoWorkflow:
    # What a machine lacks that has the dependencies of the library alone.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("snakemake", "pygments", "tf_keras", "pytest"):
            raise ModuleNotFoundError(f"{name} is no dependency of the library")


sys.meta_path.insert(0, NoWorkflow())
import freeconv

assert not {"keras", "numpy", "tensorflow"} & set(sys.modules)
count = 0
for module in walk_packages(freeconv.__path__, "freeconv."):
    if module.name != "freeconv.engine.jax":  # is for another backend
        import_module(module.name)
        count += 1
for name in freeconv.__all__:
    assert getattr(freeconv, name), name
print(count)
"""


def test_no_module_needs_the_workflow(root):
    output = subprocess.run(
        [sys.executable, "-c", MODULES],
        cwd=root / "src",
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    assert int(output) == len(list((root / "src/freeconv").rglob("*.py"))) - 2
