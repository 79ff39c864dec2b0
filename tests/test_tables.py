"""Tables against a small summary whose best values are known by hand."""

import base64
import csv
import re

import numpy as np
import pandas as pd
import pytest
from reading import Page

from freeconv.report.render import render
from freeconv.report.tables import best, values_of
from freeconv.results.schemas import NETWORKS_SCHEMA
from freeconv.study import outputs

COLUMNS = ["dataset", "model", "augmentation", "level", "val_accuracy", "val_translation"]
ROWS = [
    ("mnist", "cnn", "none", 0.0, 0.97, 0.36654),
    ("mnist", "fcn", "none", 0.0, 0.96, 1 / 3),
    ("mnist", "cnn", "translation", 0.1, 0.99, 0.8),
    ("mnist", "fcn", "translation", 0.1, 0.98, 0.7),
    ("mnist", "cnn", "translation", 0.3, 0.98, 0.9),
    ("mnist", "fcn", "translation", 0.3, 0.980001, 0.6),  # reads as the 0.98 above
    ("mnist", "cnn", "noise", 0.3, 0.95, 0.2),
    ("my_data", "cnn", "none", 0.0, 0.5, 0.4),
    ("my_data", "fcn", "none", 0.0, 0.6, 0.3),
    ("my_data", "fcn", "noise", 0.3, 0.7, np.nan),
]


@pytest.fixture
def summary():
    rows = pd.DataFrame(ROWS, columns=COLUMNS)
    rows = rows.assign(
        vcp=0.0,
        training_share=1.0,
        statistic="pooled_median",
        accuracy=rows["val_accuracy"] / 2,
    )
    absent = rows.iloc[[5]].assign(vcp=0.5, val_accuracy=1.0)  # has no place in these tables
    other = rows.assign(statistic="best_median", val_accuracy=0.0)
    return pd.concat([absent, other, rows], ignore_index=True)


def test_translation_table(summary):
    values = values_of(summary, outputs.table("pooled_median/translation_mnist"))
    assert list(values.index) == [0.0, 0.1, 0.3]
    assert list(values.columns) == [
        ("mnist", metric, model)
        for metric in ("accuracy", "val_accuracy", "val_translation")
        for model in ("cnn", "fcn")
    ]
    assert list(values["mnist", "val_accuracy", "cnn"]) == [0.97, 0.99, 0.98]
    assert list(values["mnist", "accuracy", "fcn"]) == [0.48, 0.49, 0.980001 / 2]


def test_unaugmented_row_is_shared_and_gaps_are_missing(summary):
    values = values_of(summary, outputs.table("pooled_median/noise"))
    assert list(values.columns.unique("dataset")) == ["mnist", "my_data"]
    assert values.loc[0.0, ("mnist", "val_accuracy", "cnn")] == 0.97
    assert values.loc[0.3, ("my_data", "val_accuracy", "fcn")] == 0.7
    assert np.isnan(values.loc[0.3, ("mnist", "val_accuracy", "fcn")])


def test_statistics_are_kept_apart(summary):
    values = values_of(summary, outputs.table("best_median/translation_mnist"))
    assert (values["mnist", "val_accuracy"] == 0).all(axis=None)


def test_best_by_hand(summary):
    marks = best(values_of(summary, outputs.table("pooled_median/translation_mnist")))
    assert list(marks["mnist", "val_accuracy", "cnn"]) == [False, True, False]
    assert list(marks["mnist", "val_accuracy", "fcn"]) == [False, True, True]  # equal as shown
    assert list(marks["mnist", "val_translation", "fcn"]) == [False, True, False]


def test_missing_is_never_best():
    marks = best(pd.DataFrame({"some": [np.nan, 0.2, 0.1], "none": [np.nan] * 3}))
    assert list(marks["some"]) == [False, True, False]
    assert not marks["none"].any()


@pytest.mark.parametrize("name", ["translation_mnist", "noise"])
def test_csv_parses_back_exactly(summary, name):
    values = values_of(summary, outputs.table(f"pooled_median/{name}"))
    text = render(f"pooled_median/{name}", summary, "csv")
    head, *rows = csv.reader(text.splitlines())
    assert head == ["level", *("_".join(column) for column in values.columns)]
    parsed = [[float(run or "nan") for run in row] for row in rows]
    np.testing.assert_array_equal(parsed, values.reset_index().to_numpy())


def test_markdown(summary):
    lines = render("pooled_median/noise", summary, "md").splitlines()
    assert "Table B.2" in lines[0]
    assert "the median over all epochs" in lines[0]
    runs = [[run.strip() for run in line.strip("|").split("|")] for line in lines[2:]]
    assert runs[0][:3] == [
        "Level",
        "MNIST, Validation accuracy, CNN",
        "MNIST, Validation accuracy, FCN",
    ]
    assert runs[2][:4] == ["0.00", "**0.97000**", "**0.96000**", "**0.36654**"]
    assert runs[3][:4] == ["0.30", "0.95000", "—", "0.20000"]
    assert not any("nan" in run for row in runs for run in row)


def test_html_is_what_markdown_says(summary):
    """The same texts, the same of them bold, and the CSV to download."""
    html = render("pooled_median/noise", summary, "html")
    lines = render("pooled_median/noise", summary, "md").splitlines()
    marked = Page(html.replace("<strong>", "**").replace("</strong>", "**"))
    runs = [[run.strip() for run in line.strip("|").split("|")] for line in lines[2:]]
    assert marked.tables[0] == [runs[0], *runs[2:]]
    assert lines[0] in marked.text
    (link,) = [value for tag, value in marked.links if tag == "a"]
    data = base64.b64decode(link.split(",", 1)[1]).decode()
    assert data == render("pooled_median/noise", summary, "csv")


def test_html_escapes_and_aligns(summary):
    summary["dataset"] = summary["dataset"].replace("my_data", "<i>&")
    html = render("pooled_median/noise", summary, "html")
    assert "&lt;i&gt;&amp;, Validation accuracy, CNN" in html
    assert html.count('<td class="number">') == html.count("<td") == 2 * 9


def test_architectures_in_html():
    page = Page(render("architectures", networks(), "html"))
    assert page.tables[0][0] == ["Data set", "CNN", "CNN parameters", "FCN", "FCN parameters"]
    assert page.tables[0][5] == ["", "All layers", "2,108,746", "All layers", "2,162,506"]


@pytest.mark.parametrize("name", ["translation_mnist", "translation_my_data", "noise"])
def test_latex_structure(summary, name):
    text = render(f"pooled_median/{name}", summary, "tex")
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    columns = len(re.search(r"\\begin\{tabular\}\{(r+)\}", text).group(1))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    values = values_of(summary, outputs.table(f"pooled_median/{name}"))
    assert columns == 1 + values.shape[1]
    assert len(rows) == len(values) + (2 if "translation" in name else 3)
    for row in rows:
        spans = map(int, re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert sum(span - 1 for span in spans) + row.count(" & ") + 1 == columns
    for rule in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", text):
        assert 2 <= int(rule[0]) < int(rule[1]) <= columns
    assert not re.search(r"(?<!\\)[_%]", re.sub(r"\\label\{.*?\}|^%.*", "", text))


def test_latex_rows(summary):
    text = render("pooled_median/translation_mnist", summary, "tex")
    assert r"Level & CNN & FCN & CNN & FCN & CNN & FCN \\" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5} \cmidrule(lr){6-7}" in text
    expected = r"0.10 & \textbf{0.49500} & \textbf{0.49000} & \textbf{0.99000} & \textbf{0.98000}"
    assert expected in text
    noise = render("pooled_median/noise", summary, "tex")
    assert r"0.30 & 0.95000 & --- & 0.20000 & ---" in noise
    assert r"{my\_data}" in noise


@pytest.mark.parametrize(
    ("name", "file_format", "message"),
    [
        ("pooled_median/tables", "csv", "`name` must be one of.*Received: 'pooled_median/tables'"),
        ("median/noise", "csv", "`name` must be one of.*pooled_median.*Received: 'median/noise'"),
        ("noise", "csv", "`name` must be one of.*Received: 'noise'"),
        ("pooled_median/noise", "pdf", "one of csv, md, tex, html. Received: 'pdf'"),
        (
            "pooled_median/translation_cifar10",
            "csv",
            "no row for table 'translation_cifar10', statistic 'pooled_median'",
        ),
    ],
)
def test_wrong_arguments_are_named(summary, name, file_format, message):
    with pytest.raises(ValueError, match=message):
        render(name, summary, file_format)


def networks():
    layers = {
        "cnn": [("conv1", "convolution", 3, 2, 13, 13, 32, 320, 1)],
        "fcn": [("conv1", "free_convolution", 3, 2, 13, 13, 32, 54080, 169)],
    }
    rows = [
        (dataset, model, 0.0001, *layer)
        for dataset in ("my_data", "mnist")
        for model in ("fcn", "cnn")
        for layer in [
            ("image", "input", 0, 0, 28, 28, 1, 0, 0),
            *layers[model],
            ("hidden", "dense", 0, 0, 1, 1, 1024, 2098176, 0),
            ("output", "softmax", 0, 0, 1, 1, 10, 10250, 0),
        ]
    ]
    return pd.DataFrame(rows, columns=NETWORKS_SCHEMA.names)


def test_architectures_in_markdown():
    lines = render("architectures", networks(), "md").splitlines()
    assert "Table A.2" in lines[0]
    runs = [[run.strip() for run in line.strip("|").split("|")] for line in lines[2:]]
    assert runs[0] == ["Data set", "CNN", "CNN parameters", "FCN", "FCN parameters"]
    image, rate = "Image (28 x 28 x 1)", "Learning rate: 0.0001"
    assert runs[2:8] == [
        ["MNIST", image, "", image, ""],
        ["", "Convolutional (3 x 3, 32, 2)", "320", "Free convolutional (3 x 3, 32, 2)", "54,080"],
        ["", "Fully connected (1024)", "2,098,176", "Fully connected (1024)", "2,098,176"],
        ["", "Softmax (10)", "10,250", "Softmax (10)", "10,250"],
        ["", "All layers", "2,108,746", "All layers", "2,162,506"],
        ["", rate, "", rate, ""],
    ]
    assert [row[0] for row in runs[8:]] == ["my_data", *[""] * 5]


def test_architectures_of_one_network_and_as_data():
    cnn = networks().query("model == 'cnn'")
    assert "| Data set   | CNN " in render("architectures", cnn, "md")
    assert "FCN" not in render("architectures", cnn, "md")
    parsed = list(csv.DictReader(render("architectures", networks(), "csv").splitlines()))
    assert len(parsed) == 16
    assert parsed[1]["kind"] == "free_convolution"
    assert parsed[1]["parameters"] == "54080"


def test_architectures_in_latex():
    text = render("architectures", networks(), "tex")
    assert text.startswith("% Needs the package booktabs.\n")
    assert text.count("{") == text.count("}")
    assert r"& Convolutional (3 $\times$ 3, 32, 2) & 320 &" in text
    assert r"my\_data" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {row.count(" & ") for row in rows} == {4}


def test_unknown_format_of_architectures_is_refused():
    with pytest.raises(ValueError, match=r"one of csv, md, tex, html\. Received: 'pdf'"):
        render("architectures", networks(), "pdf")
