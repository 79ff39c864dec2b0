"""Evaluates a trained network on its validation fold under a sweep of perturbations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from freeconv.results.best_epoch import best_epoch
from freeconv.results.components import evaluation_code
from freeconv.results.provenance import describe_origin
from freeconv.results.schemas import EVALUATION_SCHEMA, RUN_COLUMNS
from freeconv.results.staleness import training_identity
from freeconv.study.settings import RunSettings
from freeconv.training.augmentation import Forms
from freeconv.training.devices import require_backend
from freeconv.training.engine import Condition, Evaluator, computing_in, on_device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import keras

    from freeconv.data.folds import Splits
    from freeconv.study.settings import EvaluationSettings


def sweep_conditions(strengths: Mapping[str, Sequence[float]]) -> list[Any]:
    """The conditions of an evaluation.

    Args:
        strengths: mapping, perturbation -> its strengths.

    Returns:
        List of `engine.Condition`: clean, quadrant swap, then the sweep.
    """
    sweep = [Condition(kind, strength) for kind in strengths for strength in strengths[kind]]
    return [Condition("clean", 0.0), Condition("quadrant_swap", 0.0), *sweep]


def evaluate_model(
    settings: RunSettings,
    model: keras.Model,
    epoch: int,
    validation: Any,
    conditions: Sequence[Any],
    seed: int,
) -> pd.DataFrame:
    """Count how many images of each class a network gets right under each condition.

    Args:
        settings: `settings.RunSettings` that the network was trained by.
        model: `keras.Model` with the weights of its best epoch.
        epoch: that epoch.
        validation: `folds.Split` of the validation fold.
        conditions: list of `engine.Condition`.
        seed: of the perturbations. Runs that share it, the data and the batch
            size are measured on the very same images.

    Returns:
        `pandas.DataFrame` by `schemas.EVALUATION_SCHEMA`.

    Raises:
        InputError: if Keras computes with another backend than the one that trained the network.
    """
    require_backend(settings.backend)
    evaluator = Evaluator(
        model,
        conditions=conditions,
        batch_size=settings.batch_size,
        forms=Forms.of(settings),
    )
    with computing_in(settings.precision):
        predictions, _ = evaluator.measure(*on_device(*validation), np.random.SeedSequence(seed))
    labels = np.asarray(validation.labels)
    classes = np.unique(labels)
    identity = {name: getattr(settings, name) for name in RUN_COLUMNS}
    records = [
        {
            **identity,
            "epoch": epoch,
            "perturbation": condition.kind,
            "strength": condition.strength,
            "label": label,
            "count": int(np.sum(labels == label)),
            "correct": int(np.sum((labels == label) & (predicted == label))),
        }
        for condition, predicted in zip(conditions, predictions.T, strict=True)
        for label in classes
    ]
    return pd.DataFrame(records, columns=EVALUATION_SCHEMA.names)


def evaluate_trained(
    request: EvaluationSettings,
    model: keras.Model,
    history: pd.DataFrame,
    trained: Mapping[str, Any],
    splits: Splits,
    device: str,
    extension: Any = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Evaluate the model that a training ended with.

    Args:
        request: `settings.EvaluationSettings`.
        model: `keras.Model` with the weights of its best epoch.
        history: `pandas.DataFrame` of its epochs, by `schemas.HISTORY_SCHEMA`.
        trained: what the file of the history keeps beside them.
        splits: `folds.Splits` of the run's fold.
        device: description of the device that evaluates.
        extension: see `components.evaluation_code`.

    Returns:
        The rows, see `evaluate_model`, and what to keep beside them.
    """
    settings = RunSettings(**trained["settings"])
    evaluation = evaluate_model(
        settings,
        model,
        best_epoch(history),
        splits.validation,
        sweep_conditions(request.strengths),
        request.seed,
    )
    return evaluation, {
        **describe_origin(settings, splits, device, evaluation_code(settings, extension)),
        "training": training_identity(trained),
        "evaluation": vars(request),
    }
