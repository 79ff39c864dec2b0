"""Whether a stored result is what would be computed today, and if not, why.

A result is stale when, and only when, something that can change its numbers is another than when
it was computed: its settings, its images, the code. All of it is recorded in the result's own file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from freeconv.errors import InputError
from freeconv.io import read_header
from freeconv.results.components import evaluation_code, training_code
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from freeconv.study.settings import EvaluationSettings, RunSettings

_WORDS = VALID, RUNNING, STALE, MISSING = "valid", "running", "stale", "missing"


class State(NamedTuple):
    """What is to be said of a result.

    Attributes:
        word: `VALID`, `MISSING` or `STALE`; `RUNNING` of what a job is making.
        reasons: tuple of strings, why it is stale; or how far it is.
    """

    word: str
    reasons: tuple[str, ...] = ()


def state_of_training(
    path: Path, settings: RunSettings, data: str | None = None, extension: Path | None = None
) -> State:
    """The state of a history.

    Args:
        path: the file, by `schemas.HISTORY_SCHEMA`.
        settings: `settings.RunSettings` that its run has today.
        data: digest that the run's images have today (`folds.Splits.digest`), or None where
            they are not at hand: then the recorded one is believed.
        extension: see `components.training_code`.

    Returns:
        `State`.
    """
    code = training_code(settings, extension)

    def changes(origin):
        return _training_changes(origin, settings, data, code)

    return _state(path, HISTORY_SCHEMA, changes)


def state_of_evaluation(
    path: Path,
    history: Path,
    settings: RunSettings,
    request: EvaluationSettings,
    extension: Path | None = None,
) -> State:
    """The state of an evaluation whose run has a valid history.

    Args:
        path: the file, by `schemas.EVALUATION_SCHEMA`.
        history: the file of the run's history.
        settings: `settings.RunSettings` that the run has today.
        request: `settings.EvaluationSettings` of today.
        extension: see `components.training_code`.

    Returns:
        `State`.
    """

    def changes(origin):
        trained = read_header(history, HISTORY_SCHEMA)
        yield from _differences("", origin.get("training", {}), training_identity(trained))
        yield from _differences("", origin.get("evaluation", {}), vars(request))
        yield from _code_changes(origin.get("code", {}), evaluation_code(settings, extension))

    return _state(path, EVALUATION_SCHEMA, changes)


def training_identity(origin: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the numbers of a history, of the mapping that is recorded in its file."""
    return {name: origin.get(name) for name in ("settings", "data", "code")}


def _state(path, schema, changes):
    """The state of a file by the changes since, a function of its recorded mapping."""
    try:
        reasons = tuple(changes(read_header(path, schema)))
    except FileNotFoundError:
        return State(MISSING)
    except InputError as error:
        return State(STALE, (str(error),))
    return State(STALE, reasons) if reasons else State(VALID)


def _training_changes(origin, settings, data, code):
    without = _without_effect(settings)
    before, now = (
        {name: value for name, value in either.items() if name not in without}
        for either in (origin.get("settings", {}), vars(settings))
    )
    yield from _differences("", before, now)
    if data is not None and origin.get("data") != data:
        yield "the images of its folds changed"
    yield from _code_changes(origin.get("code", {}), code)


def _without_effect(settings):
    """The names of settings that do not bear on such a run: choices about layers it has not."""
    names = [] if settings.vcp > 0 else ["vcp_kind"]
    return names if settings.kind == "fcn" else [*names, "glorot_fans"]


def _code_changes(before, now):
    if not before:
        yield "the code that computed it is not recorded"
        return
    for module in sorted(before.keys() | now.keys()):
        if before.get(module) != now.get(module):
            yield f"the code of {module} changed"


def _differences(prefix, before, now):
    """A reason a key whose value is another one, of mappings within mappings."""
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(f"{prefix}{key}.", old, new)
        elif old != new:
            was, is_now = before.get(key, "nothing"), now.get(key, "nothing")
            yield f"{prefix}{key}: {was} before, {is_now} now"


LISTED = (RUNNING, STALE, MISSING)
"""What of a study is not valid."""


def describe_states(states: Mapping[str, State], listed: Iterable[str] = LISTED) -> str:
    """A text that counts results by their state, and lists those not valid with the reasons.

    Args:
        states: mapping, file -> `State`.
        listed: the words whose files are listed.
    """
    by_word = {word: [f for f in states if states[f].word == word] for word in _WORDS}
    lines = [", ".join(f"{len(files)} {word}" for word, files in by_word.items())]
    for word in listed:
        for file in by_word[word]:
            reasons = "; ".join(states[file].reasons)
            lines.append(f"{word} {file}" + (f": {reasons}" if reasons else ""))
    return "\n".join(lines) + "\n"
