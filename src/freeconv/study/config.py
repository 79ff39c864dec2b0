"""Reads a configuration, checks it against a closed JSON schema, and fills in the defaults."""

from __future__ import annotations

import copy
import json
import os
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from jsonschema import Draft202012Validator, validators

from freeconv.errors import InputError
from freeconv.study.config_errors import check_config, literal
from freeconv.study.consistency import can_have_vcp
from freeconv.study.extensions import extended_schema
from freeconv.study.grid import Study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


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


def read_yaml(path: Path) -> dict[str, Any]:
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
            f"{path}: holds {literal(mapping)}; expected a mapping of keys to values, such as "
            "config/demo.yaml"
        )
    return mapping


def merge(base: dict[str, Any], study: dict[str, Any]) -> dict[str, Any]:
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


def override(config: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
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


def expand_paths(config: dict[str, Any]) -> dict[str, Any]:
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
    config = _expand(config, ("mirror",))
    return {**config, "extension": _expand(config.get("extension"), ("file",))}


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


def read_study(files: Sequence[Path], schema: Path) -> Study:
    """The study of YAML files, of which later ones go before earlier ones.

    Args:
        files: the files, the first of which describes the known sources of images.
        schema: the file of the JSON schema.

    Raises:
        InputError: as `read_yaml` and `parse_study`.
    """
    config = reduce(merge, map(read_yaml, files))
    return parse_study(expand_paths(config), read_yaml(schema))


def parse_study(config: dict[str, Any], schema: Path) -> Study:
    """The study that a configuration describes: `Study.from_config` of `complete`."""
    return Study.from_config(complete(config, schema))


def complete(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the defaults of all keys that it does not state.

    Args:
        config: mapping, the configuration as parsed from YAML; it stays as it is.
        schema: mapping, the JSON schema of configurations without an extension.

    Returns:
        A mapping of all keys.

    Raises:
        InputError: if the configuration does not satisfy the schema.
    """
    schema = extended_schema(schema, config.get("extension"))
    check_config(config, schema)
    completed = copy.deepcopy(config)
    for _ in _Completer(schema).iter_errors(completed):
        pass  # there are none: it is read for its defaults
    completed["folds"].setdefault("run", list(range(completed["folds"]["count"])))
    if "vcp" not in config and not can_have_vcp(completed):
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
