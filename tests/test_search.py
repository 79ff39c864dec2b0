"""The hyperparameter search: records of hand-made histories, and their table."""

import csv
import math

import pandas as pd
import pytest
from reading import Page

from freeconv.analysis.search import SEARCH_SCHEMA, search_records
from freeconv.errors import InputError
from freeconv.io import read_parquet, write_parquet
from freeconv.report.render import render

NAN, INF = math.nan, math.inf


def trial(epochs, dataset="mnist", model="cnn", layers=3, learning_rate=1e-3):
    """A trial of epochs (loss, val_loss, val_accuracy), after an untrained one that looks best."""
    settings = {
        "dataset": dataset,
        "model": model,
        "layers": layers,
        "learning_rate": learning_rate,
        "fold": 0,
        "seed": 7,
        "epochs": 100,
        "patience": 25,
    }
    rows = [(0, NAN, 2.3, 0.999, NAN)]
    rows += [(number, *epoch, 0.5) for number, epoch in enumerate(epochs, start=1)]
    columns = ["epoch", "loss", "val_loss", "val_accuracy", "seconds"]
    return settings, pd.DataFrame(rows, columns=columns)


def record(*epochs):
    return search_records([trial(epochs)]).iloc[0]


def test_a_trial_is_its_best_epoch():
    row = record((1.0, 1.1, 0.5), (0.5, 0.6, 0.8), (0.25, 0.7, 0.8), (0.125, 0.8, 0.7))
    assert (row["best_epoch"], row["val_accuracy"]) == (2, 0.8)
    assert (row["epochs"], row["loss"], row["seconds"]) == (4, 0.125, 2.0)
    assert not row["diverged"]
    assert row["best"]
    assert (row["dataset"], row["learning_rate"], row["seed"]) == ("mnist", 1e-3, 7)


def test_divergence_in_the_first_epoch_leaves_no_accuracy():
    row = record((NAN, NAN, 0.1))
    assert row["diverged"]
    assert not row["best"]
    assert row["epochs"] == 1
    assert row[["best_epoch", "val_accuracy", "loss"]].isna().all()


@pytest.mark.parametrize(
    ("end", "epochs"),
    [
        ([(NAN, NAN, 0.9)], 3),  # the accuracy of NaNs is that of the first class
        ([(INF, 5.0, 0.9), (NAN, NAN, 0.9)], 4),
        (
            [(0.4, NAN, 0.9)],
            3,
        ),  # the last step of an epoch may break what its mean loss is not told
    ],
)
def test_divergence_later_leaves_the_epochs_before(end, epochs):
    row = record((1.0, 1.0, 0.6), (0.5, 0.5, 0.4), *end)
    assert row["diverged"]
    assert not row["best"]
    assert (row["best_epoch"], row["val_accuracy"], row["epochs"]) == (1, 0.6, epochs)


def grid():
    """Two data sets, both networks: ties, a better one that diverged, and only diverged ones."""
    good, better, bad = (0.5, 0.5, 0.8), (0.5, 0.5, 0.9), (NAN, NAN, 0.95)
    return search_records(
        [
            trial([good]),
            trial([good, good], learning_rate=1e-6),
            trial([better, bad], layers=2),
            trial([bad], layers=2, learning_rate=1e-6),
            trial([better], model="fcn"),
            trial([good], model="fcn", learning_rate=1e-6),
            trial([good], model="fcn", layers=2),
            trial([good], model="fcn", layers=2, learning_rate=1e-6),
            trial([bad], dataset="my_data"),
            trial([good], dataset="my_data", model="fcn"),
        ]
    )


def test_the_best_of_each_data_set_and_model_did_not_diverge():
    records = grid()
    best = [True, True, False, False, True, False, False, False, False, True]
    assert records["best"].tolist() == best


def test_records_survive_parquet(tmp_path):
    path = tmp_path / "search.parquet"
    write_parquet(grid(), path, SEARCH_SCHEMA)
    pd.testing.assert_frame_equal(read_parquet(path, SEARCH_SCHEMA), grid(), check_dtype=False)


def test_csv_has_every_trial():
    rows = list(csv.DictReader(render("search", grid(), "csv").splitlines()))
    assert list(rows[0]) == SEARCH_SCHEMA.names
    assert len(rows) == 10
    assert [row["best_epoch"] for row in rows[:4]] == ["1", "1", "1", ""]
    assert rows[1]["learning_rate"] == "1e-06"


def test_markdown_shows_every_trial():
    lines = render("search", grid(), "md").splitlines()
    assert "Table A.1" in lines[0]
    runs = [[run.strip() for run in line.strip("|").split("|")] for line in lines[2:]]
    assert runs[0] == [
        "Data set",
        "Layers",
        "Learning rate",
        "CNN accuracy",
        "CNN epoch",
        "FCN accuracy",
        "FCN epoch",
        "Paper",
    ]
    assert runs[2:] == [
        ["MNIST", "3", "0.001", "**0.80000**", "1", "**0.90000**", "1", "chosen"],
        ["MNIST", "3", "1e-06", "**0.80000**", "1", "0.80000", "1", ""],
        ["MNIST", "2", "0.001", "0.90000 (diverged)", "1", "0.80000", "1", ""],
        ["MNIST", "2", "1e-06", "diverged", "—", "0.80000", "1", ""],
        ["my_data", "3", "0.001", "diverged", "—", "**0.80000**", "1", ""],
    ]


def test_latex_shows_every_trial():
    text = render("search", grid(), "tex")
    assert text.startswith("% Needs the package booktabs.\n")
    assert text.count("{") == text.count("}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 6
    assert {row.count(" & ") for row in rows} == {7}
    assert r"MNIST & 3 & 0.001 & \textbf{0.80000} & 1 & \textbf{0.90000} & 1 & chosen \\" in rows
    assert r"my\_data & 3 & 0.001 & diverged & --- & \textbf{0.80000} & 1 &  \\" in rows


def test_one_network_of_a_data_set_that_the_paper_lacks():
    text = render("search", grid().query("dataset == 'my_data' and model == 'fcn'"), "md")
    head, *_ = [line for line in text.splitlines() if line.startswith("|")]
    assert "CNN" not in head
    assert "Paper" not in head


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match=r"one of csv, md, tex, html\. Received: 'pdf'"):
        render("search", grid(), "pdf")


def test_the_page_marks_the_same_trials_as_the_other_formats():
    page = Page(render("search", grid(), "html"))
    (table,) = page.tables.values()
    markdown = render("search", grid(), "md").splitlines()
    rows = [line.strip("|").split("|") for line in markdown if line.startswith("|")]
    runs = [[text.strip() for text in row] for row in (rows[0], *rows[2:])]
    assert table == [[text.strip("*") for text in row] for row in runs]
    html = render("search", grid(), "html")
    assert html.count("<strong>") == sum(text.startswith("**") for row in runs for text in row)
