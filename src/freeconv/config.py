"""Checks a configuration against a closed JSON schema, with messages for people."""

import json
from difflib import get_close_matches

from jsonschema import Draft202012Validator

from freeconv.errors import InputError


def check_config(config, schema):
    """Raise one error that lists everything wrong with a configuration.

    Args:
        config: mapping, the configuration as parsed from YAML.
        schema: mapping, a JSON schema (draft 2020-12).

    Raises:
        InputError: if the configuration does not satisfy the schema; a line a
            fault, naming the key, its value and what is allowed.
    """
    faults = sorted(Draft202012Validator(schema).iter_errors(config), key=lambda e: list(e.path))
    if faults:
        lines = [line for fault in faults for line in _describe(fault)]
        raise InputError("invalid configuration:\n" + "\n".join(f"  - {line}" for line in lines))


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
            expected = "one of " + ", ".join(_literal(value) for value in allowed)
        case "const":
            expected = _literal(allowed)
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
            expected = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
        case "minItems" | "minProperties":
            expected = f"at least {allowed} of them"
        case "uniqueItems":
            expected = "no value twice"
        case "pattern":
            expected = fault.schema.get("description", f"text that matches {allowed}")
        case _:
            return [f"{key}: {fault.message}"]
    return [f"{key}: {_literal(fault.instance)} is not allowed; expected {expected}"]


_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping of keys to values",
    "string": "text",
}


def _unknown_keys(fault, key):
    """One line for each key that the schema does not know, with the nearest known one."""
    known = sorted(fault.schema.get("properties", {}))
    lines = []
    for name in fault.instance:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            value = _literal(fault.instance[name])
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


def _literal(value):
    """A value as JSON writes it, which YAML reads too, cut to a readable length."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
