"""Checks a configuration against a closed JSON schema; one error lists all that is wrong."""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator, validators

from freeconv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def _is_integer(_, value):
    """JSON Schema takes 4.0 for an integer, but no argument of a script is one with a point."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise one error that lists everything wrong with a configuration.

    Args:
        config: mapping, the configuration as parsed from YAML.
        schema: mapping, a JSON schema (draft 2020-12).

    Raises:
        InputError: if the configuration does not satisfy the schema; a line a
            fault, naming the key, its value and what is allowed.
    """
    faults = sorted(
        _Validator(schema).iter_errors(config), key=lambda e: list(map(str, e.absolute_path))
    )
    # What is of the wrong kind is not within the bounds, either.
    wrong = {tuple(fault.absolute_path) for fault in faults if fault.validator == "type"}
    faults = [f for f in faults if f.validator == "type" or tuple(f.absolute_path) not in wrong]
    # The validator names a fault by every key that is missing, each of which names them all.
    lines = dict.fromkeys(line for fault in faults for line in _describe(fault))
    named = {tuple(fault.absolute_path) for fault in faults}
    lines |= dict.fromkeys(line for path, line in _not_finite(config, ()) if path not in named)
    if lines:
        head = "invalid configuration (config/README.md explains every key):"
        raise InputError("\n".join([head, *(f"  - {line}" for line in lines)]))


def _not_finite(value, path):
    """Path and line of each number that is not finite: NaN lies within all bounds of a schema."""
    if isinstance(value, float) and not math.isfinite(value):
        line = f"{_dotted(path)}: {literal(value)} is not allowed; expected a finite number"
        yield path, line
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _not_finite(item, (*path, key))


def _describe(fault):
    """The lines that explain one fault of a JSON schema validation."""
    key = _dotted(fault.absolute_path)
    allowed = fault.validator_value
    match fault.validator:
        case "additionalProperties":
            return _unknown_keys(fault, key)
        case "required":
            missing = [name for name in allowed if name not in fault.instance]
            return [f"{_join(key, name)}: missing; this key is required" for name in missing]
        case "enum":
            expected = "one of " + ", ".join(literal(value) for value in allowed)
        case "const":
            expected = literal(allowed)
        case "minimum":
            expected = f"at least {allowed}"
        case "maximum":
            expected = f"at most {allowed}"
        case "exclusiveMinimum":
            expected = f"more than {allowed}"
        case "exclusiveMaximum":
            expected = f"less than {allowed}"
        case "type":
            kinds = [allowed] if isinstance(allowed, str) else allowed
            expected = " or ".join(_TYPE_NAMES.get(kind, kind) for kind in kinds)
            expected += _as_number(fault.instance, kinds)
        case "minItems" | "minProperties":
            expected = f"at least {allowed} of them"
        case "maxItems":
            expected = f"at most {allowed} of them"
        case "uniqueItems":
            expected = "no value twice"
        case "pattern" | "anyOf":
            expected = fault.schema.get("expected", f"text that matches {allowed}")
        case _:
            return [f"{key}: {fault.message}"]
    return [f"{key}: {literal(fault.instance)} is not allowed; expected {expected}"]


_TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping of keys to values",
    "string": "text",
}


def _as_number(value, kinds):
    """What to write for text that reads as a number, and for a whole number with a point."""
    try:
        number = Decimal(value) if isinstance(value, str | float) else Decimal("nan")
    except InvalidOperation:
        return ""
    whole = number.is_finite() and number == number.to_integral_value()
    if not number.is_finite() or abs(number.adjusted()) >= 20:
        return ""
    if "number" not in kinds and not ("integer" in kinds and whole):
        return ""
    reason = "YAML takes this for text, " if isinstance(value, str) else ""
    digits = format(number.to_integral_value() if whole else number, "f")
    return f"; {reason}write {digits}"


def _unknown_keys(fault, key):
    """One line for each key that the schema does not know, with the nearest known one."""
    known = sorted(fault.schema.get("properties", {}))
    lines = []
    for name in fault.instance:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            value = literal(fault.instance[name])
            lines.append(
                f"{_join(key, name)}: unknown key (value {value}); allowed here: "
                f"{', '.join(known)}{hint}"
            )
    return lines


def _dotted(path):
    """`augmentations.translation[3]` for the path of a fault."""
    dotted = ""
    for part in path:
        dotted += f"[{part}]" if isinstance(part, int) else f".{part}" if dotted else str(part)
    return dotted or "configuration"


def _join(key, name):
    return str(name) if key == "configuration" else f"{key}.{name}"


def literal(value: Any) -> str:
    """A value as JSON writes it, which YAML reads too, cut to a readable length."""
    try:
        text = json.dumps(value, default=str)
    except TypeError:  # keys that are dates
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
