import pandas as pd

from freeconv.history import best_epoch


def test_best_epoch_is_the_earliest_of_equals_and_never_the_untrained():
    history = pd.DataFrame({"epoch": [0, 1, 2, 3, 4], "val_accuracy": [0.99, 0.5, 0.8, 0.8, 0.7]})
    assert best_epoch(history) == 2
    assert best_epoch(history.iloc[::-1]) == 2
