"""How much weights are shared, and what accuracy comes of it."""

from __future__ import annotations

import pandas as pd

from freeconv.history import SHARING_SCHEMA
from freeconv.summary import best_epochs

_CHOICES = ["kind", "sharing", "glorot_fans"]


def degrees_of_sharing(
    history: pd.DataFrame, settings: pd.DataFrame, networks: pd.DataFrame
) -> pd.DataFrame:
    """Sets the accuracies of networks beside the number of their kernels.

    Args:
        history: One row per epoch, see `freeconv.history.HISTORY_SCHEMA`.
        settings: One row per cell, see `freeconv.history.SETTINGS_SCHEMA`.
        networks: One row per layer of every network of every data set, see
            `freeconv.history.NETWORKS_SCHEMA`.

    Returns:
        One row per cell with all its connections, by `freeconv.history.SHARING_SCHEMA`; the fewer
        kernels, the later.

        - `kernels`, `parameters`: of all convolutions of the network together, the parameters with
          biases. Ordinary convolutions have one kernel each.
        - `sharing`, `glorot_fans`: null for ordinary convolutions, which have no such choice.
        - `val_accuracy`, `val_translation`: at the best epoch (`summary.best_epochs`), 0 to 1.
    """
    network = ["dataset", "model"]
    choices = settings[[*network, *_CHOICES]].drop_duplicates()
    choices.loc[choices["kind"] == "cnn", ["sharing", "glorot_fans"]] = None
    convolutions = networks[networks["kernels"] > 0]
    counts = convolutions.groupby(network, as_index=False)[["kernels", "parameters"]].sum()
    best = best_epochs(history[history["vcp"] == 0])
    records = best.merge(choices, on=network).merge(counts, on=network)
    order = ["dataset", "kernels", "model", "augmentation", "level", "fold"]
    ascending = [column != "kernels" for column in order]
    return records.sort_values(order, ascending=ascending)[SHARING_SCHEMA.names]
