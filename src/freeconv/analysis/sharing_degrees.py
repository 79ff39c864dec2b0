"""How weights are shared, and what accuracy comes of it."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pyarrow as pa

from freeconv.analysis.summary import best_epochs
from freeconv.results.schemas import ARROW_TYPES, RUN_FIELDS
from freeconv.study.settings import SharingScheme

_SCHEME = [(item.name, ARROW_TYPES[item.type]) for item in dataclasses.fields(SharingScheme)]
_RUN = [(name, kind) for name, kind in RUN_FIELDS if name not in ("vcp", "seed", "epoch")]

# One row per run with all its connections, see `degrees_of_sharing`.
SHARING_SCHEMA = pa.schema(
    [
        *_RUN,
        ("kind", pa.string()),
        *_SCHEME,
        ("glorot_fans", pa.string()),
        ("kernels", pa.int64()),
        ("parameters", pa.int64()),
        ("images", pa.int64()),
        ("fold_count", pa.int64()),
        ("val_accuracy", pa.float64()),
        ("val_translation", pa.float64()),
        ("common_share", pa.float64()),
    ]
)


def degrees_of_sharing(
    history: pd.DataFrame,
    settings: pd.DataFrame,
    networks: pd.DataFrame,
    evaluation: pd.DataFrame,
) -> pd.DataFrame:
    """Sets the accuracies of networks beside how they share weights, and of how many images.

    Args:
        history: One row per epoch, see `frames.SCHEMAS`.
        settings: One row per run, see `schemas.SETTINGS_SCHEMA`.
        networks: One row per layer of every network of every data set, see
            `schemas.NETWORKS_SCHEMA`.
        evaluation: One row per class of every run and perturbation, see
            `schemas.EVALUATION_SCHEMA`.

    Returns:
        One row per run with all its connections, by `sharing_degrees.SHARING_SCHEMA`; the fewer
        kernels, the later.

        - the choices of its `settings.SharingScheme`, and `glorot_fans`; `sharing` and
          `glorot_fans` are null for ordinary convolutions, which have no such choice.
        - `kernels`, `parameters`: of all convolutions of the network together, the parameters with
          biases. Ordinary convolutions have one kernel each.
        - `images`: about how many it was trained on: its share of as many folds like the one that
          it validated on as there are others.
        - `fold_count`: of how many folds its own is one.
        - `val_accuracy`, `val_translation`: at the best epoch (`summary.best_epochs`), 0 to 1.
        - `common_share`: see `filter_similarity.common_share`, at the best epoch: 1 for ordinary
          convolutions and for what is not released yet.
    """
    network, run = ["dataset", "model"], [name for name, _ in _RUN]
    keys = [*run, "vcp"]
    choices = settings[[*keys, "kind", *(name for name, _ in _SCHEME), "glorot_fans"]]
    choices = choices.copy()
    choices.loc[choices["kind"] == "cnn", ["sharing", "glorot_fans"]] = None
    convolutions = networks[networks["kernels"] > 0]
    counts = convolutions.groupby(network, as_index=False)[["kernels", "parameters"]].sum()
    clean = evaluation[evaluation["perturbation"] == "clean"]
    validated = clean.groupby(keys, as_index=False)["count"].sum()
    best = best_epochs(history[history["vcp"] == 0])
    records = best.merge(choices, on=keys).merge(counts, on=network).merge(validated, on=keys)
    others = records["count"] * (records["fold_count"] - 1)
    records["images"] = (records["training_share"] * others).round().astype(int)
    shared = (records["kind"] == "cnn") | (records["release"] >= records["epoch"])
    records.loc[shared, "common_share"] = 1.0
    order = ["dataset", "kernels", "model", "augmentation", "level", "training_share"]
    order += ["fold", "repeat"]
    ascending = [column != "kernels" for column in order]
    return records.sort_values(order, ascending=ascending)[SHARING_SCHEMA.names]
