"""Pages of HTML for a report: they need neither network nor scripts, on screen and on paper."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

_NUMBER = re.compile(r"[-+]?[\d.,]+|[-—]?")


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        caption: Its caption, plain text.
        cells: Its texts; the columns are its heads.
        bold: Booleans of the same shape, which cells are bold (`None`: none is).
    """

    caption: str
    cells: pd.DataFrame
    bold: pd.DataFrame | None = None


def render_template(name: str, **values) -> str:
    """Renders a template of this package; every value is escaped.

    Args:
        name: File in `freeconv/templates`.
        values: What the template names.
    """
    environment = Environment(
        loader=PackageLoader("freeconv"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name).render(values)


def render_tables(title: str, tables: list[TextTable], file: str, csv: str) -> str:
    """Renders tables as a page, with their data to download.

    Args:
        title: Title of the page.
        tables: What it shows, from top to bottom; of one without rows the caption alone.
        file: Name of the CSV file to download.
        csv: Its text.
    """
    encoded = base64.b64encode(csv.encode()).decode()
    parts = [_described(table) for table in tables]
    return render_template("tables.html.jinja", title=title, tables=parts, file=file, csv=encoded)


def _described(table: TextTable) -> dict:
    """A table as its template reads it: columns of numbers are set flush right."""
    cells = table.cells.astype(str)
    bold = table.bold if table.bold is not None else pd.DataFrame(False, cells.index, cells.columns)
    columns = [
        {"title": title, "number": all(map(_NUMBER.fullmatch, cells[title]))} for title in cells
    ]
    rows = [
        [{"text": text, "bold": strong} for text, strong in zip(*pair, strict=True)]
        for pair in zip(cells.to_numpy().tolist(), bold.to_numpy().tolist(), strict=True)
    ]
    return {"caption": table.caption, "columns": columns, "rows": rows}
