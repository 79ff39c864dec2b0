"""The keys of a study as a table for people, made from the schema that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MARKS = ("<!-- keys: begin -->", "<!-- keys: end -->")
"""What the table stands between in a document."""


def key_table(schema: Mapping[str, Any]) -> str:
    """A table of all keys of a study that have a description.

    Args:
        schema: mapping, the JSON schema of configurations.

    Returns:
        Markdown: one row per key with its path, its default (empty: its description says what
        holds without it), and its description.
    """
    rows = ["| key | default | what it holds |", "|---|---|---|"]
    rows += [
        f"| `{path}` | {default} | {description} |"
        for path, default, description in _keys(schema, schema, "")
    ]
    return "\n".join(rows)


def _keys(schema, node, prefix):
    """Path, default and description of a node's keys, each followed by those of its mapping."""
    for name, key in node.get("properties", {}).items():
        if "description" in key:
            default = "required" if name in node.get("required", ()) else _default(key)
            yield prefix + name, default, key["description"].strip()
        yield from _keys(schema, key, f"{prefix}{name}.")
        items = key.get("additionalProperties")
        if isinstance(items, dict):
            yield from _keys(schema, _resolved(schema, items), f"{prefix}{name}.<name>.")


def _resolved(schema, node):
    reference = node.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else node


def _default(key):
    value = key.get("default")
    if "default" not in key or value == {}:
        return ""
    if isinstance(value, dict):
        return "as described"
    return f"`{yaml.safe_dump([value], default_flow_style=True, width=1000).strip()[1:-1]}`"
