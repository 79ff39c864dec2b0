import math

import pandas as pd

from freeconv.results.best_epoch import best_epoch

NAN, INF = math.nan, math.inf


def history(val_accuracy, loss=None, val_loss=None):
    epochs = range(len(val_accuracy))
    columns = {"loss": loss, "val_loss": val_loss, "val_accuracy": val_accuracy}
    finite = [1.0 for _ in epochs]
    return pd.DataFrame({"epoch": epochs} | {k: v or finite for k, v in columns.items()})


def test_best_epoch_is_the_earliest_of_equals_and_never_the_untrained():
    frame = history([0.99, 0.5, 0.8, 0.8, 0.7], loss=[NAN, 1, 1, 1, 1])
    assert best_epoch(frame) == 2
    assert best_epoch(frame.iloc[::-1]) == 2


def test_an_epoch_whose_loss_is_not_finite_is_never_the_best():
    assert best_epoch(history([0.1, 0.5, 0.9], loss=[NAN, 1, NAN])) == 1
    assert best_epoch(history([0.1, 0.5, 0.9], val_loss=[1, 1, NAN])) == 1
    assert best_epoch(history([0.1, 0.9, 0.5, 0.9], loss=[NAN, INF, 1, NAN])) == 2


def test_the_untrained_network_is_what_a_run_ends_with_that_diverged_at_once():
    assert best_epoch(history([0.1, 0.9], loss=[NAN, NAN])) == 0
