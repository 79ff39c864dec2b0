"""The notebooks run as they are kept, and what the explorer draws are the kept records."""

import ast
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOK = ROOT / "docs/explore.ipynb"
QUESTION = "print({k: (c['mean'].tolist(), int(c['low'].count())) for k, c in curves.items()})"


@pytest.fixture(scope="module")
def executed():
    """The notebook with its outputs, and behind it those of a question."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTION))
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()


@pytest.mark.parametrize(("name", "pictures"), [("explore", 2), ("from_conv2d", 2)])
def test_its_outputs_are_kept(name, pictures):
    """Every cell has run once, in order, without an error; small enough for a repository."""
    path = ROOT / f"docs/{name}.ipynb"
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == pictures
    assert {output.output_type for output in outputs} <= {
        *("execute_result", "display_data", "stream")
    }
    assert path.stat().st_size < 300_000
    assert str(ROOT) not in path.read_text()


def test_the_way_from_a_convolution_and_back():
    """It runs, and says again what it is kept saying: equal outputs, then learning."""
    path = ROOT / "docs/from_conv2d.ipynb"
    where = {"metadata": {"path": str(path.parent)}}
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    streams = [o.text for cell in notebook.cells for o in cell.get("outputs", []) if "text" in o]
    text = "".join(streams)
    assert float(re.search(r"largest difference of an output (\S+);", text)[1]) < 1e-5
    assert "kernel (36, 9, 8)" in text
    moved = float(re.search(r"accuracy on moved images (0\.\d+)", text)[1])
    mean, after = map(float, re.search(r"mean (0\.\d+), after ten epochs (0\.\d+)", text).groups())
    assert mean < after
    assert mean < moved > 0.6


def test_it_draws_two_figures(executed):
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


def test_its_curves_are_those_of_the_kept_runs(executed):
    curves = ast.literal_eval(executed.cells[-1].outputs[0].text)
    assert sorted(curves) == [(m, v) for m in ("cnn", "fcn") for v in (0.0, 0.1, 0.3, 0.5)]
    for (model, level), (mean, bands) in curves.items():
        name = f"translation-{level:g}" if level else "none-0"
        folder = ROOT / f"results/mnist_cpu/runs/mnist/{model}/{name}/vcp-0/data-1"
        folds = [pd.read_parquet(f) for f in sorted(folder.glob("fold-*/repeat-0/history.parquet"))]
        assert len(folds) == 3
        curves_of_folds = [f.loc[f["epoch"] >= 1, "val_accuracy"].to_numpy() for f in folds]
        np.testing.assert_allclose(mean, np.mean(curves_of_folds, axis=0))
        assert bands == len(mean)  # three folds have an interval, at every epoch
