"""What a study records: columns and types of everything from its histories to its conclusions.

An accuracy is a share of images, 0 to 1; a loss is a mean cross-entropy in nats.
"""

import dataclasses

import pyarrow as pa

from freeconv.provenance import SOFTWARE
from freeconv.study import CellSettings, Trial

CELL_COLUMNS = ("dataset", "model", "augmentation", "level", "vcp", "fold", "seed")
TRIAL_COLUMNS = ("dataset", "model", "layers", "learning_rate", "fold", "seed")

# Measured on the training stream, on the clean validation fold, on its five
# perturbed copies, and on the filters of the first free layer.
METRICS = (
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "val_translation",
    "val_rotation",
    "val_noise",
    "val_edge_noise",
    "val_quadrant_swap",
    "distance_1",
    "distance_4",
    "cosine_1",
    "cosine_4",
)

_CELL_FIELDS = [
    ("dataset", pa.string()),
    ("model", pa.string()),
    ("augmentation", pa.string()),
    ("level", pa.float64()),
    ("vcp", pa.float64()),
    ("fold", pa.int64()),
    ("seed", pa.int64()),
    ("epoch", pa.int64()),
]

# One row per image, in the order of the data set, with the fold in whose validation part it is.
FOLDS_SCHEMA = pa.schema([("index", pa.int64()), ("fold", pa.int32())])

# One row per epoch; epoch 0 is the untrained network, whose loss and accuracy on
# the training stream are null.
HISTORY_SCHEMA = pa.schema(
    [*_CELL_FIELDS, *((name, pa.float64()) for name in METRICS), ("seconds", pa.float64())]
)

# One row per (perturbation, strength, true class): `correct` of `count` images.
EVALUATION_SCHEMA = pa.schema(
    [
        *_CELL_FIELDS,
        ("perturbation", pa.string()),
        ("strength", pa.float64()),
        ("label", pa.int64()),
        ("count", pa.int64()),
        ("correct", pa.int64()),
    ]
)

# One row per (dataset, model, augmentation, level, vcp, statistic): `folds` behind it,
# and the `rows` of the history that its medians are taken over.
SUMMARY_SCHEMA = pa.schema(
    [
        *_CELL_FIELDS[:5],
        ("statistic", pa.string()),
        *((name, pa.float64()) for name in METRICS),
        ("folds", pa.int64()),
        ("rows", pa.int64()),
    ]
)

# One row per cell: everything in the configuration that bears on its numbers.
_ARROW_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
SETTINGS_SCHEMA = pa.schema(
    [(item.name, _ARROW_TYPES[item.type]) for item in dataclasses.fields(CellSettings)]
)

# One row per cell: the digest of its data, where it was trained, and under which versions.
PROVENANCE_SCHEMA = pa.schema(
    [
        *_CELL_FIELDS[:7],
        *((name, pa.string()) for name in ("data", "device", "machine", *SOFTWARE)),
    ]
)

# One row per trial of the hyperparameter search: see `search.search_records`.
SEARCH_SCHEMA = pa.schema(
    [
        *((item.name, _ARROW_TYPES[item.type]) for item in dataclasses.fields(Trial)),
        ("seed", pa.int64()),
        ("epochs", pa.int64()),
        ("best_epoch", pa.int64()),
        ("val_accuracy", pa.float64()),
        ("loss", pa.float64()),
        ("diverged", pa.bool_()),
        ("best", pa.bool_()),
        ("seconds", pa.float64()),
    ]
)

# One row per number that the paper published: see `comparison.compare`.
COMPARISON_SCHEMA = pa.schema(
    [
        ("table", pa.string()),
        ("dataset", pa.string()),
        ("model", pa.string()),
        ("augmentation", pa.string()),
        ("level", pa.float64()),
        ("metric", pa.string()),
        ("published", pa.float64()),
        ("ours", pa.float64()),
        ("difference", pa.float64()),
        ("tolerance", pa.float64()),
        ("verdict", pa.string()),
        ("folds", pa.int64()),
        ("epochs", pa.int64()),
        ("protocol", pa.string()),
        ("departures", pa.string()),
    ]
)

# One row per (data set, criterion of a conclusion): see `conclusions.conclude`.
CONCLUSIONS_SCHEMA = pa.schema(
    [
        ("conclusion", pa.int64()),
        ("statement", pa.string()),
        ("dataset", pa.string()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("side", pa.string()),
        ("threshold", pa.float64()),
        ("source", pa.string()),
        ("folds", pa.int64()),
        ("fewest_epochs", pa.int64()),
        ("most_epochs", pa.int64()),
        ("protocol", pa.string()),
        ("verdict", pa.string()),
        ("conclusion_verdict", pa.string()),
    ]
)

# One row per (perturbation, strength): the image of a data set as it looks then, `pixels`
# being the bytes of an array of uint8, height x width x channels.
EXAMPLES_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("perturbation", pa.string()),
        ("strength", pa.float64()),
        ("height", pa.int64()),
        ("width", pa.int64()),
        ("channels", pa.int64()),
        ("pixels", pa.binary()),
    ]
)

# One row per layer with its output of rows x columns x units (dense layers: 1 x 1); kernel
# size, stride and `kernels` (how many: one for all positions, or one a tile of them) of what is no
# convolution are 0.
NETWORKS_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("model", pa.string()),
        ("learning_rate", pa.float64()),
        ("layer", pa.string()),
        ("kind", pa.string()),
        ("kernel_size", pa.int64()),
        ("stride", pa.int64()),
        ("rows", pa.int64()),
        ("columns", pa.int64()),
        ("units", pa.int64()),
        ("parameters", pa.int64()),
        ("kernels", pa.int64()),
    ]
)

# One row per (cell of a network of convolutions, perhaps free): see `sharing.degrees_of_sharing`.
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
        ("val_accuracy", pa.float64()),
        ("val_translation", pa.float64()),
    ]
)
