"""The overview of made-up studies: what it counts, what it warns of, and what it leaves out."""

import base64
import dataclasses

import numpy as np
import pandas as pd
import pytest
from reading import Page
from scipy import stats
from test_conclusions import CHANCE, settings
from test_conclusions import run as of_run

from freeconv.analysis.comparison import compare
from freeconv.analysis.conclusions import STATEMENTS, conclude
from freeconv.report.overview import Background, Records, render_overview
from freeconv.results.provenance import PROVENANCE_SCHEMA, SOFTWARE, flatten_origin

BACKGROUND = Background("try", 7, "run", 5, "contiguous")


def run_of(row):
    """What is kept beside a run's history."""
    return {
        "settings": row,
        "data": f"{row['fold']}" * 64,
        "device": "cpu, 1 thread",
        "machine": "Linux x86_64",
        "versions": dict.fromkeys(SOFTWARE, "1.2"),
    }


def records(*cells):
    history = pd.concat(cells).assign(seconds=60.0)
    here = settings(history)
    provenance = pd.DataFrame([flatten_origin(run_of(row)) for row in here.to_dict("records")])
    return Records(
        history=history,
        settings=here,
        provenance=provenance,
        comparison=compare(history, here),
        conclusions=conclude(history, here, CHANCE),
    )


@pytest.fixture
def mnist():
    return records(
        of_run("cnn", accuracy=(1.0, 1.0), val_accuracy=(0.9, 0.9)),
        of_run("fcn", accuracy=(1.0, 1.0), val_accuracy=(0.9, 0.7), val_translation=(0.4, 0.4)),
        of_run("fcn", "edge_noise", 0.3, folds=(1,), val_accuracy=(0.8,)),
    )


def overview(of, **changes):
    return Page(render_overview(BACKGROUND, dataclasses.replace(of, **changes)))


def test_a_page_needs_nothing_else(mnist):
    page = overview(mnist)
    assert page.links == [("link", "data:,")]
    assert "img" not in page.tags
    assert page.text.startswith("Overview of the study try Overview of the study try 7 networks")


def test_how_much_was_trained(mnist):
    """Five runs of two epochs; epoch 0 is none, but takes its minute."""
    page = overview(mnist)
    assert "7 networks (CNN, FCN) on MNIST, trained for 70 epochs in all" in page.text
    assert "3 of 5 folds ran" in page.text
    assert "took 1.3 hours in sum" in page.text


def test_every_conclusion_and_criterion_has_its_verdict(mnist):
    page = overview(mnist)
    head, *rows = page.tables["verdicts"]
    assert head == ["No.", "Conclusion", "MNIST"]
    assert [row[:2] for row in rows] == [[str(n), text] for n, text in STATEMENTS.items()]
    # Folds of the CNN are alike; those of the FCN spread.
    assert rows[0][2] == "undecided"
    criteria = {row[1]: row for row in page.tables["criteria"] if len(row) == 8}
    assert len(criteria) - 1 == len(mnist.conclusions)
    (of_cnn,) = (row for text, row in criteria.items() if text.startswith("CNN, no augmentation"))
    assert of_cnn[2:] == ["+0.1000", "+0.1000 to +0.1000", "above 0", "3", "10", "reproduced"]
    (swap,) = (row for text, row in criteria.items() if "quadrant-swap accuracy" in text)
    assert swap[2:4] == ["—", "—"]
    assert swap[7] == "not covered"


def test_it_begins_with_what_was_found(mnist):
    """A sentence a conclusion, which the criterion decides that has its verdict."""
    pictures = {("mnist", 1): b"first", ("mnist", 4): b"fourth", ("digits", 2): b"of another"}
    html = render_overview(BACKGROUND, mnist, pictures)
    text = Page(html).text
    found = text[text.index("What was found") : text.index("The verdicts, and every criterion")]
    starts = [found.index(f"{number}. {words}") for number, words in STATEMENTS.items()]
    assert starts == sorted(starts)
    values = (0.1, 0.2, 0.3)
    half = stats.t.ppf(0.975, df=2) * np.std(values, ddof=1) * np.sqrt(1 / 3 + 1 / 4)
    assert "undecided MNIST FCN, no augmentation: training minus validation accuracy" in found
    mean = np.mean(values)
    spread = f"({mean - half:+.3f} to {mean + half:+.3f})"
    assert f"{mean:+.3f} {spread} on 3 folds; the paper has it above 0." in found
    assert "quadrant-swap accuracy, CNN minus FCN: no run of this study tells." in found
    sources = [value for tag, value in Page(html).links if tag == "img"]
    expected = [base64.b64encode(pictures["mnist", n]).decode() for n in (1, 4)]
    assert sources == [f"data:image/png;base64,{picture}" for picture in expected]


def test_what_lies_beside_the_page_is_linked(mnist):
    links = {"Figures": {"Fig. <5>": "figures/a.png", "Fig. 6": "figures/b.png"}}
    page = Page(render_overview(BACKGROUND, mnist, links=links))
    assert [value for tag, value in page.links if tag == "a"] == ["figures/a.png", "figures/b.png"]
    assert "Figures (2) Fig. <5>Fig. 6" in page.text


def test_numbers_are_counted_by_the_papers_tables(mnist):
    head, *rows = overview(mnist).tables["counts"]
    assert head[2:8] == [
        *("Numbers", "Agrees", "Differs", "Inconclusive", "Not comparable", "Not run")
    ]
    counts = {row[0]: [int(count) for count in row[2:8]] for row in rows if row[0] != "All"}
    assert list(counts) == ["Table 1", "Table B.1", "Table B.2", "Table B.3"]
    for numbers, *verdicts in counts.values():
        assert numbers == sum(verdicts)
    # Edge noise 0.3 ran on one fold: its validation accuracy has no tolerance.
    assert counts["Table B.1"][3] == 1
    assert [int(n) for n in rows[-1][1:7]] == [sum(n) for n in zip(*counts.values(), strict=True)]
    assert rows[-1][1] == "186"  # level 0, which all four tables have, counts once


def test_data_that_the_paper_does_not_have():
    numbers = {"accuracy": (1.0, 1.0), "val_accuracy": (0.9, 0.9)}
    alone = overview(records(of_run("cnn", dataset="digits", **numbers)))
    assert "counts" not in alone.tables
    assert "The paper publishes no number of Digits: there is nothing" in alone.text
    both = overview(records(of_run("cnn", dataset="digits", **numbers), of_run("cnn", **numbers)))
    assert "counts" in both.tables
    assert "The paper publishes no number of Digits: there is nothing" in both.text
    assert both.tables["verdicts"][0] == ["No.", "Conclusion", "Digits", "MNIST"]


def test_departures_from_the_published_runs(mnist):
    departures = (
        "edge_noise: text instead of code, noise_order: shuffled instead of consecutive: 1 of 186"
    )
    assert departures in overview(mnist).text


def test_what_the_choice_of_the_best_epoch_favours():
    runs = of_run("cnn", val_accuracy=(0.8, 0.8))
    assert "best epochs are chosen" not in overview(records(runs)).text
    halves = runs.assign(val_even=0.7, val_odd=0.9, loss=1.0, val_loss=1.0)
    text = overview(records(halves)).text
    assert "MNIST: best epochs are chosen on the very images" in text
    assert "accuracy is 0.8000 on average over 3 runs" in text
    assert "it is 0.8000, for no run more than 0.0000 lower" in text


def test_one_set_of_versions(mnist):
    page = overview(mnist)
    assert "All runs were trained under the same versions." in page.text
    assert [*["1.2"] * len(SOFTWARE), "7"] in page.tables[3]


@pytest.mark.parametrize("other", ["1.3", None])
def test_runs_of_other_versions(mnist, other):
    provenance = mnist.provenance.copy()
    provenance.loc[1, "keras"] = other
    page = overview(mnist, provenance=provenance)
    assert "Runs were trained under 2 different sets of versions." in page.text
    rows = {row[SOFTWARE.index("keras")]: row[-1] for row in page.tables[3][1:]}
    assert rows == {"1.2": "6", other or "—": "1"}


def test_runs_of_one_fold_that_saw_other_images(mnist):
    assert "not the same images" not in overview(mnist).text
    provenance = mnist.provenance.copy()
    provenance.loc[0, "data"] = "f" * 64
    page = overview(mnist, provenance=provenance)
    assert page.text.count("not the same images in all runs") == 1
    assert "ffffffffffff" in page.text


def test_text_is_escaped(mnist):
    page = overview(mnist, provenance=mnist.provenance.assign(device="<b>gpu</b> & more"))
    assert "<b>gpu</b> & more" in page.text
    assert "b" not in page.tags


def test_settings_that_matter(mnist):
    rows = dict(row for row in overview(mnist).tables[6])
    assert rows["Seed"] == "7; that of each run follows from it"
    assert rows["Folds"] == "0, 1, 2 of 5 (from 0), contiguous"
    assert rows["Levels of edge noise"] == "0.3"
    assert rows["Protocol: glorot_fans"] == "kernel_shape"
    assert "Levels of rotation" not in rows
    assert "Share of masked connections" not in rows


def test_an_older_run_lacks_a_version():
    row = settings(of_run("cnn", val_accuracy=(0.9, 0.8))).iloc[0].to_dict()
    run = run_of(row)
    del run["versions"]["scipy"]
    flat = flatten_origin(run)
    assert list(flat) == PROVENANCE_SCHEMA.names
    assert flat["scipy"] is None
    assert (flat["keras"], flat["seed"], flat["model"]) == ("1.2", 0, "cnn")
