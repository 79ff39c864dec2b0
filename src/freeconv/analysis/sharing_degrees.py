"""How much weights are shared, and what accuracy comes of it."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from freeconv.analysis.summary import best_epochs, on_all_images

# One row per run with all its connections, see `degrees_of_sharing`.
SHARING_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("model", pa.string()),
        ("kind", pa.string()),
        ("sharing", pa.string()),
        ("glorot_fans", pa.string()),
        ("kernels", pa.int64()),
        ("parameters", pa.int64()),
        ("augmentation", pa.string()),
        ("level", pa.float64()),
        ("fold", pa.int64()),
        ("repeat", pa.int64()),
        ("val_accuracy", pa.float64()),
        ("val_translation", pa.float64()),
    ]
)

_CHOICES = ["kind", "sharing", "glorot_fans"]


def degrees_of_sharing(
    history: pd.DataFrame, settings: pd.DataFrame, networks: pd.DataFrame
) -> pd.DataFrame:
    """Sets the accuracies of networks beside the number of their kernels.

    Args:
        history: One row per epoch, see `schemas.HISTORY_SCHEMA`.
        settings: One row per run, see `schemas.SETTINGS_SCHEMA`.
        networks: One row per layer of every network of every data set, see
            `schemas.NETWORKS_SCHEMA`.

    Returns:
        One row per run with all its connections, by `sharing_degrees.SHARING_SCHEMA`; the fewer
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
    best = best_epochs(on_all_images(history[history["vcp"] == 0]))
    records = best.merge(choices, on=network).merge(counts, on=network)
    order = ["dataset", "kernels", "model", "augmentation", "level", "fold", "repeat"]
    ascending = [column != "kernels" for column in order]
    return records.sort_values(order, ascending=ascending)[SHARING_SCHEMA.names]
