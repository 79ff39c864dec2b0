"""Renders tables as CSV, Markdown, LaTeX and HTML, and pages of HTML.

Pages need neither network nor scripts, on screen and on paper.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from freeconv.errors import InputError
from freeconv.study import outputs

DASH = "—"
"""Shown where there is no number."""

DIGITS = 5
"""Digits shown after the point: one image of 14,000 is 0.00007."""

LATEX_ESCAPES = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", DASH: "---"}
)
"""For `str.translate`: plain text as LaTeX shows it."""

_NUMBER = re.compile(r"[-+]?[\d.,]+|[-—]?")


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        name: Its name, of which LaTeX makes the label.
        caption: Its caption, plain text.
        cells: Its texts; the columns are its heads. Where these are tuples, heads that are the same
            stand above one another as groups; Markdown and HTML join them in one line.
        columns: LaTeX column types, such as `lrp{5cm}`; `r` are flush right in Markdown, too.
        bold: Booleans of the same shape, which cells are bold (`None`: none is).
        long: Whether it needs separate pages in LaTeX, in landscape.
    """

    name: str
    caption: str
    cells: pd.DataFrame
    columns: str
    bold: pd.DataFrame | None = None
    long: bool = False


@dataclass(frozen=True)
class Document:
    """What the files of a table hold.

    Attributes:
        title: Title of the page of HTML.
        tables: From top to bottom; of one without rows the caption alone is shown.
        data: The numbers, which become the CSV.
    """

    title: str
    tables: list[TextTable]
    data: pd.DataFrame


def render(name: str, frame: pd.DataFrame, file_format: str) -> str:
    """Renders a table of a study as the text of a file.

    Args:
        name: The table's name, see `outputs.table`, such as `pooled_median/translation_mnist`.
        frame: The frame that it is made from, see `outputs.Table`.
        file_format: `csv` (the numbers in full precision), `md` (GitHub-flavoured Markdown),
            `tex` (needs the LaTeX packages named in its first line) or `html` (a page that also
            holds the CSV, to download).

    Raises:
        InputError: If there is no such table or format, or nothing to show.
    """
    if file_format not in FORMATS:
        raise InputError(
            f"`file_format` must be one of {', '.join(FORMATS)}. Received: {file_format!r}"
        )
    entry = outputs.table(name)
    module, _, function = entry.function.partition(".")
    make = getattr(import_module(f"freeconv.report.{module}"), function)
    return FORMATS[file_format](name, make(frame, entry))


def markdown(document: Document) -> str:
    """Renders tables as GitHub-flavoured Markdown, each under its caption."""
    return "\n".join(map(_markdown_table, document.tables))


def number(value: float, digits: int = DIGITS) -> str:
    """Returns a number as it is shown; a dash for NaN."""
    return DASH if pd.isna(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int = DIGITS) -> str:
    """Returns a number with its sign; a dash for NaN."""
    return DASH if pd.isna(value) else f"{value:+.{digits}f}"


def statistic_and_part(statistic: str, part: str, parts: int) -> str:
    """Writes what a criterion computes, and which of several levels its value is of."""
    return f"{statistic} (of {parts}: {part})" if part else statistic


def interval(low: float, high: float, digits: int = DIGITS) -> str:
    """Returns an interval; a dash where it is unknown."""
    return DASH if pd.isna(low) else f"{signed(low, digits)} to {signed(high, digits)}"


def whole_range(fewest: int, most: int) -> str:
    """Returns a range of whole numbers, as one where both are the same."""
    return str(most) if fewest == most else f"{fewest} to {most}"


def render_template(name: str, **values) -> str:
    """Renders a template of this package; every value is escaped.

    Args:
        name: File in `freeconv/report/templates`.
        values: What the template names.
    """
    environment = Environment(
        loader=PackageLoader("freeconv.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name).render(values)


def _csv(name: str, document: Document) -> str:
    return document.data.to_csv(index=False)


def _html(name: str, document: Document) -> str:
    return render_template(
        "tables.html.jinja",
        title=document.title,
        tables=[_described(table) for table in document.tables],
        file=f"{'_'.join(reversed(name.split('/')))}.csv",
        csv=base64.b64encode(_csv(name, document).encode()).decode(),
    )


def _described(table: TextTable) -> dict:
    """A table as its template reads it: columns of numbers are set flush right."""
    cells = _with_one_head(table.cells)
    columns = [
        {"title": title, "number": all(map(_NUMBER.fullmatch, cells[title]))} for title in cells
    ]
    rows = [
        [{"text": text, "bold": strong} for text, strong in zip(*pair, strict=True)]
        for pair in zip(cells.to_numpy().tolist(), _bold(table).tolist(), strict=True)
    ]
    return {"caption": table.caption, "columns": columns, "rows": rows}


def _markdown(name: str, document: Document) -> str:
    return markdown(document)


def _markdown_table(table: TextTable) -> str:
    if table.cells.empty:
        return f"{table.caption}\n"
    cells = _with_one_head(table.cells)
    cells = cells.mask(_bold(table), "**" + cells + "**")
    types = re.findall(r"[a-z](?:\{[^}]*\})?", table.columns)
    alignment = ["right" if kind == "r" else "left" for kind in types]
    text = cells.to_markdown(index=False, disable_numparse=True, colalign=alignment)
    return f"{table.caption}\n\n{text}\n"


def _latex(name: str, document: Document) -> str:
    long = any(table.long for table in document.tables)
    packages = "packages booktabs, longtable, pdflscape" if long else "package booktabs"
    return f"% Needs the {packages}.\n" + "\n".join(map(_latex_table, document.tables))


def _latex_text(text: str) -> str:
    return text.translate(LATEX_ESCAPES).replace(" x ", r" $\times$ ")


def _latex_table(table: TextTable) -> str:
    caption = _latex_text(table.caption)
    if table.cells.empty:
        return f"{caption}\n"
    cells = table.cells.map(_latex_text)
    cells = cells.mask(_bold(table), r"\textbf{" + cells + "}")
    cells = cells.rename(columns=_latex_text)
    place = {"environment": "longtable"}
    if not table.long:
        place = {"position": "tbp", "position_float": "centering", "multicol_align": "c"}
    text = cells.style.hide(axis="index").to_latex(
        hrules=True,
        column_format=table.columns,
        caption=caption,
        label=f"tab:{table.name}",
        **place,
    )
    if not table.long:
        return _rule_groups(text)
    return f"\\begin{{landscape}}\n\\scriptsize\n{text}\\end{{landscape}}\n"


FORMATS = {"csv": _csv, "md": _markdown, "tex": _latex, "html": _html}
"""Format, which is the ending of its files -> function that renders it."""


def _bold(table: TextTable) -> np.ndarray:
    return np.zeros(table.cells.shape, bool) if table.bold is None else table.bold.to_numpy(bool)


def _with_one_head(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells under one line of heads."""
    if not isinstance(cells.columns, pd.MultiIndex):
        return cells
    heads = [", ".join(filter(None, titles)) for titles in cells.columns]
    return cells.set_axis(heads, axis="columns")


def _rule_groups(latex: str) -> str:
    """Underlines the groups of columns in the head of a LaTeX table."""
    lines = []
    for line in latex.splitlines():
        lines.append(line)
        if r"\multicolumn" not in line:
            continue
        column, rules = 1, []
        for cell in line.split(" & "):
            span = re.search(r"\\multicolumn\{(\d+)\}", cell)
            width = int(span.group(1)) if span else 1
            if span:
                rules.append(rf"\cmidrule(lr){{{column}-{column + width - 1}}}")
            column += width
        lines.append(" ".join(rules))
    return "\n".join(lines) + "\n"
