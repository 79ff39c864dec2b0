"""What every run records: columns and types of its files.

An accuracy is a share of images, 0 to 1; a loss is a mean cross-entropy in nats.
"""

import dataclasses

import pyarrow as pa

from freeconv.study.settings import RunSettings

RUN_IDENTITY = (
    *("dataset", "model", "augmentation", "level", "vcp"),
    *("training_share", "fold", "repeat"),
)
RUN_COLUMNS = (*RUN_IDENTITY, "seed")
TRIAL_COLUMNS = ("dataset", "model", "layers", "learning_rate", "fold", "seed")

# On the clean validation fold and its halves, and on the fold's five perturbed copies.
_VALIDATION_ACCURACIES = (
    "val_accuracy",
    "val_even",
    "val_odd",
    "val_translation",
    "val_rotation",
    "val_noise",
    "val_edge_noise",
    "val_quadrant_swap",
)
ACCURACIES = ("accuracy", *_VALIDATION_ACCURACIES)

# Measured on the training stream, on validation images, and on the filters of the first free layer.
METRICS = (
    "loss",
    "accuracy",
    "val_loss",
    *_VALIDATION_ACCURACIES,
    "distance_1",
    "distance_4",
    "cosine_1",
    "cosine_4",
    "similarity_1",
    "similarity_4",
    "unit_distance_1",
    "unit_distance_4",
    "matched_similarity_1",
    "matched_similarity_4",
    "matched_distance_1",
    "matched_distance_4",
    "norm_variation",
    "common_share",
)

RUN_FIELDS = [
    ("dataset", pa.string()),
    ("model", pa.string()),
    ("augmentation", pa.string()),
    ("level", pa.float64()),
    ("vcp", pa.float64()),
    ("training_share", pa.float64()),
    ("fold", pa.int64()),
    ("repeat", pa.int64()),
    ("seed", pa.int64()),
    ("epoch", pa.int64()),
]

# One row per epoch; epoch 0 is the untrained network, whose loss and accuracy on
# the training stream are null.
HISTORY_SCHEMA = pa.schema(
    [*RUN_FIELDS, *((name, pa.float64()) for name in METRICS), ("seconds", pa.float64())]
)

# One row per (perturbation, strength, true class): `correct` of `count` images.
EVALUATION_SCHEMA = pa.schema(
    [
        *RUN_FIELDS,
        ("perturbation", pa.string()),
        ("strength", pa.float64()),
        ("label", pa.int64()),
        ("count", pa.int64()),
        ("correct", pa.int64()),
    ]
)


# One row per run: everything in the configuration that bears on its numbers.
ARROW_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
SETTINGS_SCHEMA = pa.schema(
    [(item.name, ARROW_TYPES[item.type]) for item in dataclasses.fields(RunSettings)]
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
