"""Several studies together: which of them speaks for a published number, and what all trained."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_script
from test_comparison import TRANSLATED, UNAUGMENTED, epochs, row_of, settings
from test_conclusions import CHANCE
from test_conclusions import run as of_run
from test_conclusions import settings as settings_of

from freeconv.analysis.comparison import COMPARISON_SCHEMA, compare
from freeconv.analysis.conclusions import CONCLUSIONS_SCHEMA, conclude
from freeconv.analysis.evidence import best_supported, effort
from freeconv.analysis.frames import SCHEMAS
from freeconv.io import write_parquet
from freeconv.report.evidence import evidence
from freeconv.report.render import markdown

PUBLISHED = 0.991857
"""Validation accuracy of `TRANSLATED`, Table 1."""


def study(values, run=TRANSLATED, folds=1, **changes):
    """A study's comparison, of networks with these validation accuracies in every fold."""
    history = pd.concat([epochs(run, fold, values) for fold in range(folds)])
    return compare(history, settings(run, **changes))


SHORT = {"epochs": 2, "patience": 2}
STUDIES = {
    "near, but short": study([PUBLISHED] * 9, folds=5, **SHORT),
    "near, of one fold": study([PUBLISHED] * 9),
    "far, of three folds": study([0.9] * 4, folds=3),
    "near, of three folds": study([PUBLISHED] * 3, folds=3),
}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["near, but short"], "near, but short"),
        (["near, but short", "near, of one fold"], "near, of one fold"),
        (["near, of one fold", "far, of three folds"], "far, of three folds"),
        # Twelve epochs, not nine.
        (["near, of three folds", "far, of three folds"], "far, of three folds"),
    ],
)
def test_the_study_with_more_to_say_speaks_whatever_it_says(names, chosen):
    best = best_supported({name: STUDIES[name] for name in names})
    assert list(best.columns) == [*COMPARISON_SCHEMA.names, "study"]
    row = row_of(best, "Table 1", model="fcn", level=0.1)
    assert row["study"] == chosen
    expected = row_of(STUDIES[chosen], "Table 1", model="fcn", level=0.1)
    pd.testing.assert_series_equal(row[expected.index], expected, check_names=False)


def test_every_published_number_is_there_once():
    best = best_supported({"mnist": study([0.9, 0.9], UNAUGMENTED)})
    assert len(best) == 396
    ran = best[best["verdict"] != "not run"]
    # Tables 1, B.1, B.2 and B.3 have the CNN without augmentation; its others were not given.
    assert ran["table"].tolist() == ["Table 1", "Table B.1", "Table B.2", "Table B.3"]
    assert ran["repeated"].tolist() == [False, True, True, True]
    assert best.loc[best["verdict"] == "not run", "study"].isna().all()
    # 66 in each of Tables 1 and 2; level 0 is none of the appendix's own.
    assert (~best["repeated"]).sum() == 2 * (66 + 3 * 40)


def test_effort_by_hand():
    one = epochs(TRANSLATED, 0, [0.9, 0.9, 0.9], seconds=1800.0)
    two = epochs(UNAUGMENTED, 1, [0.9], seconds=900.0)
    again = epochs(UNAUGMENTED, 1, [0.9], seconds=600.0)
    studies = {"long": pd.concat([one, two]), "copied": two, "again": again}
    rows = effort(studies).to_dict("records")
    assert rows == [
        {
            **{"study": "long", "datasets": ["mnist"], "runs": 2, "folds": 2},
            **{"epochs": 4, "fewest_epochs": 1, "most_epochs": 3, "hours": 2.5},
        },
        {
            **{"study": "copied", "datasets": ["mnist"], "runs": 1, "folds": 1},
            **{"epochs": 1, "fewest_epochs": 1, "most_epochs": 1, "hours": 0.0},
        },
        {
            **{"study": "again", "datasets": ["mnist"], "runs": 1, "folds": 1},
            **{"epochs": 1, "fewest_epochs": 1, "most_epochs": 1, "hours": pytest.approx(1 / 3)},
        },
    ]


@pytest.fixture
def records():
    """Comparison, conclusions and history of a study of the CNN without augmentation."""
    history = of_run("cnn", accuracy=(1.0, 1.0, 1.0), val_accuracy=(0.9, 0.9, 0.9))
    history = history.assign(seconds=60.0)
    here = settings_of(history)
    return compare(history, here), conclude(history, here, CHANCE), history


def cells(text):
    """The rows of the tables of a page in Markdown."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_page(records):
    comparison, conclusions, history = records
    text = markdown(evidence({"own": comparison}, {"own": conclusions}, {"own": history}))
    rows = cells(text)
    (first,) = (row for row in rows if row[0] == "1" and row[3] == "own")
    assert first[1] == "Without augmentation both networks overfit."
    assert first[4:] == [
        "undecided",
        "CNN, no augmentation: training minus validation accuracy: +0.100 (+0.100 to +0.100) on 3 "
        "folds; the paper has it above 0.",
    ]
    # What no run bears on is left out.
    assert not [row for row in rows if row[0] == "7"]
    counts = next(row for row in rows if row[0] == "all")
    ran = comparison[~comparison["repeated"] & (comparison["folds"] > 0)]
    assert counts[2:] == [
        *(str((ran["verdict"] == verdict).sum()) for verdict in ("agrees", "differs")),
        *(str((ran["verdict"] == verdict).sum()) for verdict in ("inconclusive", "not comparable")),
        str(372 - len(ran)),
    ]
    assert f"{len(ran)} have a counterpart" in text
    assert len([row for row in rows if row[:3] == ["1", "MNIST", "CNN"]]) == len(ran)
    assert "nan" not in text


def test_the_script_writes_it(records, tmp_path):
    schemas = {"comparison": COMPARISON_SCHEMA, "conclusions": CONCLUSIONS_SCHEMA}
    schemas["history"] = SCHEMAS["history"]
    words = []
    for (name, schema), frame in zip(schemas.items(), records, strict=True):
        absent = {column: np.nan for column in schema.names if column not in frame}
        write_parquet(frame.assign(**absent)[schema.names], tmp_path / name, schema)
        words += [f"--{name}", "own", tmp_path / name]
    finished = run_script("report", "evidence", *words, "--output", tmp_path / "evidence.md")
    assert finished.returncode == 0, finished.stderr
    expected = evidence(*({"own": frame} for frame in records))
    assert (tmp_path / "evidence.md").read_text(encoding="utf-8") == markdown(expected)


def test_the_page_that_is_kept_has_the_runs_that_are_kept():
    """Else it was not written anew since: make evidence."""
    text = (ROOT / "results/evidence.md").read_text(encoding="utf-8")
    kept = {path.parent.parent.name for path in ROOT.glob("results/*/tables/conclusions.md")}
    rows = {row[0]: int(row[2]) for row in cells(text) if row[0] in kept and row[2].isdecimal()}
    found = {name: len(list(ROOT.glob(f"results/{name}/runs/**/history.parquet"))) for name in rows}
    assert rows == found
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(rows) >= set(re.search(r"^OF_PAPER := (.*)$", makefile, re.MULTILINE)[1].split())
