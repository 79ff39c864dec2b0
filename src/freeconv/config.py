"""Reads a configuration, checks it against a closed JSON schema, and fills in the defaults."""

import copy
import json
import math
import os
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import reduce
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, validators

from freeconv.errors import InputError
from freeconv.extensions import extended_schema
from freeconv.extensions import read as read_extension
from freeconv.study import Study, can_have_vcp


def _is_integer(_, value):
    """JSON Schema takes 4.0 for an integer, but no argument of a script is one with a point."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice in a mapping: the later one would win, silently."""

    def construct_mapping(self, node, deep=False):
        keys = set()
        for key, _ in node.value:
            # `<<` takes over the keys of another mapping, and may do so more than once.
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if (key.tag, key.value) in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is there twice; remove one", key.start_mark
                )
            keys.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path):
    """The mapping that a YAML (or JSON) file holds.

    Args:
        path: the file.

    Raises:
        InputError: if there is no such file, it is neither, a key stands twice in it, or it holds
            no mapping; the message names file, line and column.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file in UTF-8"
        raise InputError(f"{path}: {reason}; expected a study, a YAML file") from None
    try:
        mapping = json.loads(text)
    except ValueError:
        mapping = _parse_yaml(path, text)
    if not isinstance(mapping, dict):
        raise InputError(
            f"{path}: holds {_literal(mapping)}; expected a mapping of keys to values, such as "
            "config/demo.yaml"
        )
    return mapping


def merge(base, study):
    """The configuration that a study makes of another one, as Snakemake merges them.

    Args:
        base: mapping, read before the study.
        study: mapping, whose values go before those of `base`, mapping by mapping.
    """
    merged = dict(base)
    for key, value in study.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return merged


def override(config, words):
    """The configuration that values of the command line make of another one.

    Args:
        config: mapping.
        words: texts `key=value`, values in YAML: `true` and `null` are what they are in a file.
            Mappings are merged, as `merge` does.

    Example:
        >>> override({"folds": {"count": 5, "run": [0]}}, ["folds={run: [1]}", "mirror=null"])
        {'folds': {'count': 5, 'run': [1]}, 'mirror': None}
    """
    for word in words:
        key, _, text = word.partition("=")
        try:
            value = _parse_yaml("--config", text)
        except InputError:
            value = text
        config = merge(config, {key: value})
    return config


def expand_paths(config):
    """A configuration in whose paths `~` is the user's home folder.

    Args:
        config: mapping, as parsed from YAML; wrong values stay as they are.
    """
    sources = config.get("sources")
    if isinstance(sources, dict):
        sources = {name: _expand(source, ("path",)) for name, source in sources.items()}
        for name, source in sources.items():
            if isinstance(source, dict) and isinstance(source.get("files"), dict):
                files = {role: _expand(file, ("path",)) for role, file in source["files"].items()}
                sources[name] = {**source, "files": files}
        config = {**config, "sources": sources}
    return _expand(config, ("extension", "mirror"))


def _expand(mapping, keys):
    if not isinstance(mapping, dict):
        return mapping
    paths = {key: mapping[key] for key in keys if isinstance(mapping.get(key), str)}
    # As a text: a path would join the slashes of a URL.
    return {**mapping, **{key: os.path.expanduser(paths[key]) for key in paths}}  # noqa: PTH111


def _parse_yaml(path, text):
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}"
        why = error.problem or error.context
        if error.problem and error.context and error.context_mark:
            why += f" ({error.context} of line {error.context_mark.line + 1})"
        raise InputError(f"{where}: not valid YAML: {why}") from None
    except (yaml.YAMLError, ValueError) as error:  # such as a date of the 13th month
        raise InputError(f"{path}: not valid YAML: {error}") from None


def read_study(files, schema):
    """The study of YAML files, of which later ones go before earlier ones.

    Args:
        files: the files, the first of which describes the known sources of images.
        schema: the file of the JSON schema.

    Raises:
        InputError: as `read_yaml` and `parse_study`.
    """
    config = reduce(merge, map(read_yaml, files))
    return parse_study(expand_paths(config), read_yaml(schema))


def parse_study(config, schema):
    """The study that a configuration describes: `Study.from_config` of `complete`."""
    return Study.from_config(complete(config, schema))


def complete(config, schema):
    """A configuration with the defaults of all keys that it does not state.

    Args:
        config: mapping, the configuration as parsed from YAML; it stays as it is.
        schema: mapping, the JSON schema of configurations without an extension.

    Returns:
        A mapping of all keys.

    Raises:
        InputError: if the configuration does not satisfy the schema, or the extension is not what
            it should be.
    """
    path = config.get("extension")
    extension = read_extension(path) if isinstance(path, str) else None
    schema = extended_schema(schema, extension)
    check_config(config, schema)
    completed = copy.deepcopy(config)
    for _ in _Completer(schema).iter_errors(completed):
        pass  # there are none: it is read for its defaults
    completed["folds"].setdefault("run", list(range(completed["folds"]["count"])))
    if "vcp" not in config and not can_have_vcp(completed, extension):
        completed["vcp"] = None
    return completed


def _complete_properties(validator, properties, instance, schema):
    if isinstance(instance, dict):
        for name, subschema in properties.items():
            if "default" in subschema:
                # By JSON, as lists that the schema names once are not to be shared.
                instance.setdefault(name, json.loads(json.dumps(subschema["default"])))
    yield from Draft202012Validator.VALIDATORS["properties"](
        validator, properties, instance, schema
    )


_Completer = validators.extend(Draft202012Validator, {"properties": _complete_properties})


def check_config(config, schema):
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
        line = f"{_dotted(path)}: {_literal(value)} is not allowed; expected a finite number"
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
    try:
        text = json.dumps(value, default=str)
    except TypeError:  # keys that are dates
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
