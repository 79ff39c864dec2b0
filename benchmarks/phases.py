"""A training job taken apart: prints the seconds of each phase, as JSON.

Run by `fixed_costs`: `python -m benchmarks.phases START SETTINGS DATA FOLDS`, START being the
time at which the process was started.
"""

import argparse
import json
import shlex
import sys
import time

from benchmarks.epochs import VALIDATION


def main(start, settings, data, folds):
    """Go through a training job phase by phase."""
    from freeconv.training.devices import use_device

    use_device("cpu", 1, "tensorflow")

    import numpy as np

    from freeconv.data.folds import read_splits
    from freeconv.study.settings import sharing_of
    from freeconv.training.engine import Condition, Evaluator, Trainer, on_device
    from freeconv.training.models import build_model

    imported = time.time()
    settings = _read(settings)
    splits = read_splits(data, folds, settings.fold)
    model = build_model(
        settings.kind,
        settings.network,
        splits.training.images.shape[1:],
        splits.classes,
        layers=settings.layers,
        glorot_fans=settings.glorot_fans,
        seed=settings.seed,
        sharing=sharing_of(settings.sharing),
    )
    trainer = Trainer(
        model,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        augmentation=settings.augmentation,
        level=settings.level,
        edge_noise=settings.edge_noise,
    )
    evaluator = Evaluator(
        model,
        conditions=[Condition(*condition) for condition in VALIDATION],
        batch_size=settings.batch_size,
        edge_noise=settings.edge_noise,
    )
    training, validation = on_device(*splits.training), on_device(*splits.validation)
    built = time.time()
    seed = np.random.SeedSequence(0)
    phases = {
        "start and imports": imported - float(start),
        "data and network": built - imported,
        "first validation, more than the next": _excess(
            lambda: evaluator.measure(*validation, seed)
        ),
        "first epoch, more than the next": _excess(lambda: trainer.epoch(*training, seed)),
    }
    print(json.dumps(phases))


def _excess(function):
    """Seconds that the first call of a function takes more than the second."""
    times = []
    for _ in range(2):
        start = time.time()
        function()
        times.append(time.time() - start)
    return times[0] - times[1]


def _read(settings):
    """The settings that `format_arguments` wrote."""
    from freeconv.command_line import add_arguments, parse_settings
    from freeconv.study.settings import CellSettings

    parser = argparse.ArgumentParser()
    add_arguments(parser, CellSettings)
    return parse_settings(CellSettings, parser.parse_args(shlex.split(settings)))


if __name__ == "__main__":
    main(*sys.argv[1:])
