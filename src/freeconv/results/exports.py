"""Records of runs as other tools read them: TensorBoard and MLflow.

Each tool is asked for only where it is used: neither is a dependency of a study.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from freeconv.errors import InputError
from freeconv.results.schemas import METRICS, RUN_IDENTITY
from freeconv.study.labels import run_title
from freeconv.study.settings import format_value


def to_tensorboard(history: pd.DataFrame, settings: Mapping[str, Any], folder: Path) -> Path:
    """Writes a run as events of TensorBoard: a scalar a metric, an epoch a step, and its settings.

    Args:
        history: One row per epoch of one run, by `schemas.HISTORY_SCHEMA`. Nulls are left out.
        settings: Of the run, as its file has them.
        folder: What `tensorboard --logdir` is given; the run has a folder there, which is emptied
            of what it held before.

    Returns:
        The run's folder.

    Raises:
        InputError: If the package `tensorboard` is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise _missing("tensorboard", error) from None
    own = Path(folder, *_words(settings))
    own.mkdir(parents=True, exist_ok=True)
    for before in own.glob("events.out.tfevents.*"):
        before.unlink()
    started = time.time()
    writer = EventFileWriter(str(own))
    writer.add_event(Event(wall_time=started, summary=hparams_pb(_plain(settings))))
    for epoch, metric, value in _values(history):
        summary = scalar_pb(metric, value)
        writer.add_event(Event(wall_time=started + epoch, step=epoch, summary=summary))
    writer.close()
    return own


def to_mlflow(history: pd.DataFrame, settings: Mapping[str, Any], study: str, folder: Path) -> str:
    """Writes a run to MLflow: its settings as parameters, its metrics by epoch.

    Args:
        history: See `to_tensorboard`.
        settings: Likewise.
        study: Name of the experiment.
        folder: Where MLflow keeps its runs, in the database `mlflow.db`
            (`mlflow ui --backend-store-uri sqlite:///<folder>/mlflow.db`).

    Returns:
        MLflow's name of the run.

    Raises:
        InputError: If the package `mlflow` is not installed.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
    except ImportError as error:
        raise _missing("mlflow", error) from None
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    known = client.get_experiment_by_name(study)
    artifacts = (folder / "artifacts").as_uri()
    number = known.experiment_id if known else client.create_experiment(study, artifacts)
    title = run_title(**{name: settings[name] for name in RUN_IDENTITY})
    run = client.create_run(number, run_name=title).info.run_id
    now = int(1000 * time.time())
    metrics = [Metric(name, value, now, epoch) for epoch, name, value in _values(history)]
    params = [Param(name, str(value)) for name, value in _plain(settings).items()]
    client.log_batch(run, params=params)
    for first in range(0, len(metrics), 1000):  # the most that MLflow takes at a time
        client.log_batch(run, metrics=metrics[first : first + 1000])
    client.set_terminated(run)
    return run


def _values(history):
    """(epoch, metric, value) of all that was measured."""
    for row in history.to_dict("records"):
        for metric in METRICS:
            if pd.notna(row[metric]):
                yield int(row["epoch"]), metric, float(row[metric])


def _words(settings):
    """The folders of a run, as a study has them."""
    words = {name: format_value(settings[name]) for name in RUN_IDENTITY}
    return (
        *(words["dataset"], words["model"], f"{words['augmentation']}-{words['level']}"),
        *(f"vcp-{words['vcp']}", f"data-{words['training_share']}"),
        *(f"{name}-{words[name]}" for name in ("fold", "repeat")),
    )


def _plain(settings):
    """Settings that are single values; the tools know no others."""
    return {name: value for name, value in settings.items() if isinstance(value, str | int | float)}


def _missing(package, error):
    return InputError(
        f"the export needs the package {package} ({error}); install it beside FreeConv: "
        f"pip install {package}"
    )
