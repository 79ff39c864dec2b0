"""The notebook runs as it is kept, and what it draws are the kept records."""

import ast

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


def test_it_is_kept_without_outputs():
    code = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_it_draws_two_figures(executed):
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


def test_its_curves_are_those_of_the_kept_runs(executed):
    curves = ast.literal_eval(executed.cells[-1].outputs[0].text)
    assert sorted(curves) == [(m, v) for m in ("cnn", "fcn") for v in (0.0, 0.1, 0.3, 0.5)]
    for (model, level), (mean, bands) in curves.items():
        name = f"translation-{level:g}" if level else "none-0"
        folder = ROOT / f"results/mnist_cpu/runs/mnist/{model}/{name}/vcp-0"
        folds = [pd.read_parquet(f) for f in sorted(folder.glob("fold-*/repeat-0/history.parquet"))]
        assert len(folds) == 2
        one, other = (f.loc[f["epoch"] >= 1, "val_accuracy"].to_numpy() for f in folds)
        np.testing.assert_allclose(mean, (one + other) / 2)
        assert bands == 0  # two folds have no interval
