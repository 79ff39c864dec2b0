"""Exports of runs, read back by the libraries that they are for, where these are installed."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_script

from freeconv.errors import InputError
from freeconv.io import read_metadata, read_parquet
from freeconv.results.exports import to_mlflow, to_tensorboard
from freeconv.results.schemas import HISTORY_SCHEMA, METRICS

RUN = "digits/fcn/translation-0.1/vcp-0/data-1/fold-2/repeat-0"
PATH = ROOT / f"results/sharing/runs/{RUN}/history.parquet"


@pytest.fixture
def history():
    return read_parquet(PATH, HISTORY_SCHEMA)


@pytest.fixture
def settings():
    return read_metadata(PATH)["settings"]


def measured(history, metric):
    """Epoch -> value, of the epochs at which there is one."""
    return history.set_index("epoch")[metric].dropna().to_dict()


def test_tensorboard_reads_the_run(history, settings, tmp_path):
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):  # a run that is written again is not there twice
        folder = to_tensorboard(history, settings, tmp_path)
    assert folder == tmp_path / RUN
    events = loading.EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tags = set(events.Tags()["tensors"])
    expected = {metric for metric in METRICS if history[metric].notna().any()}
    assert tags == expected | {"_hparams_/session_start_info"}
    for metric in ("val_accuracy", "loss", "similarity_1"):
        found = {e.step: float(e.tensor_proto.float_val[0]) for e in events.Tensors(metric)}
        known = measured(history, metric)
        assert found.keys() == known.keys()
        np.testing.assert_allclose(list(found.values()), list(known.values()), rtol=1e-6)


def test_mlflow_reads_the_run(history, settings, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    run = to_mlflow(history, settings, "sharing", tmp_path)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    kept = client.get_run(run)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "Digits, FCN, translation 0.1, fold 2"
    assert client.get_experiment(kept.info.experiment_id).name == "sharing"
    assert kept.data.params["learning_rate"] == str(settings["learning_rate"])
    assert kept.data.params["seed"] == str(settings["seed"])
    for metric in ("val_accuracy", "loss"):
        found = {m.step: m.value for m in client.get_metric_history(run, metric)}
        assert found == pytest.approx(measured(history, metric))
    again = to_mlflow(history, settings, "sharing", tmp_path)
    assert again != run
    assert client.get_run(again).info.experiment_id == kept.info.experiment_id


@pytest.mark.parametrize(
    ("function", "package"), [(to_tensorboard, "tensorboard"), (to_mlflow, "mlflow")]
)
def test_a_library_that_is_not_there_is_named(
    function, package, history, settings, monkeypatch, tmp_path
):
    for name in (package, *(name for name in sys.modules if name.startswith(f"{package}."))):
        monkeypatch.setitem(sys.modules, name, None)
    arguments = ["study"] if package == "mlflow" else []
    with pytest.raises(InputError, match=f"needs the package {package} .*pip install {package}"):
        function(history, settings, *arguments, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_script_writes_all_that_are_named(tmp_path):
    pytest.importorskip("tensorboard")
    paths = sorted(PATH.parents[2].glob("fold-*/repeat-0/history.parquet"))
    run = run_script("status", "export", *paths, "--tensorboard", tmp_path)
    assert run.returncode == 0, run.stderr
    assert f"{len(paths)} runs written" in run.stderr
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == len(paths) == 5
    refused = run_script("status", "export", *paths)
    assert refused.returncode != 0
    assert "expected --tensorboard DIR, --mlflow DIR" in refused.stderr


def test_nulls_are_no_values(history, settings, tmp_path):
    """Epoch 0 has no training accuracy, and a network without free layers no distances."""
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    rows = history.assign(distance_1=np.nan)
    folder = to_tensorboard(rows, settings, tmp_path)
    events = loading.EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    assert "distance_1" not in events.Tags()["tensors"]
    assert min(e.step for e in events.Tensors("accuracy")) == 1
    assert pd.isna(history.loc[history["epoch"] == 0, "accuracy"]).all()
