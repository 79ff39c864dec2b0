"""What a schema cannot say of a configuration: keys that refer to one another."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from freeconv.data.sources import check_source
from freeconv.errors import InputError
from freeconv.study.settings import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def can_have_vcp(config: Mapping[str, Any]) -> bool:
    """Whether networks of a study can have variable connection patterns.

    Args:
        config: mapping, a configuration of all keys.
    """
    built = config["extension"]["built_networks"] if config["extension"] else ()
    networks = {training["network"] for training in config["datasets"].values()}
    return "fcn" in _kinds(config) and not networks & set(built) and not _schemes(config)


SCHEMES = ("banks", "phases", "release", "penalty")
"""Keys of variants that say how weights are shared, beside `sharing`."""

TOGETHER = {
    *(("phases", "release"), ("penalty", "phases"), ("penalty", "release")),
    ("penalty", "sharing"),
}
"""Pairs of ways of sharing that go together."""


def _schemes(config):
    """`variants.<name>.<key>` of all that share weights otherwise than by `sharing`."""
    variants = config["variants"] or {}
    return [
        f"variants.{name}.{key}" for name in variants for key in SCHEMES if key in variants[name]
    ]


def _kinds(config):
    """The kinds of the models of a configuration; models that it does not describe have none."""
    variants = config["variants"] or {}
    return {choices_of(name, variants)["kind"] for name in config["models"]}


def choices_of(name: str, variants: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a configuration says of a model; of a plain one its name is the kind."""
    return variants.get(name, {"kind": name})


def check_consistency(config: Mapping[str, Any], extension: Any) -> None:
    """What a schema cannot say: keys that refer to one another."""
    for name in config["datasets"]:
        if name not in config["sources"]:
            known = ", ".join(sorted(config["sources"]))
            raise InputError(
                f"datasets.{name}: no source of this name; known sources: {known}. "
                f"Describe where it comes from under sources.{name}"
            )
        check_source(name, config["sources"][name])
    count = config["folds"]["count"]
    for position, fold in enumerate(config["folds"]["run"]):
        if fold >= count:
            raise InputError(
                f"folds.run[{position}]: {fold} is not allowed; "
                f"expected 0 to {count - 1}, since folds.count is {count}"
            )
    if config["repeats"] > 1 and config["seed_policy"] == "zero":
        raise InputError(
            f"repeats: {config['repeats']} runs of a fold would be the same one, since "
            "seed_policy is zero; set seed_policy to per_run, or repeats to 1"
        )
    for kind, level in config["shown_levels"].items():
        levels = config["augmentations"].get(kind, [])
        if level not in levels:
            known = f"one of its levels {', '.join(map(str, levels))}" if levels else "no such key"
            raise InputError(
                f"shown_levels.{kind}: {level} is not trained with; expected {known}, of "
                f"augmentations.{kind}"
            )
    variants = config["variants"] or {}
    _check_variants(config["models"], variants)
    if 1 not in config["training_shares"]:
        raise InputError(
            f"training_shares: {config['training_shares']} lacks 1, all training images, which "
            "tables and figures of a study are of; add it"
        )
    if config["vcp"] and (schemes := _schemes(config)):
        raise InputError(
            f"vcp: not with {schemes[0]}, whose kernels mask no connections; set vcp to null"
        )
    if config["vcp"] and "fcn" not in _kinds(config):
        raise InputError(
            "vcp: variable connection patterns need the model fcn; "
            "add it to models, or set vcp to null"
        )
    for name, training in config["datasets"].items():
        if extension and training["network"] in extension.built:
            network = f"the network {training['network']} of datasets.{name}"
            _check_built(network, extension, config["vcp"], variants)
    if config["search"]:
        _check_search(config["search"], config["datasets"], count)


def _check_variants(models, variants):
    for position, name in enumerate(models):
        if name not in KINDS and name not in variants:
            known = ", ".join([*KINDS, *variants])
            raise InputError(
                f"models[{position}]: {name} is not known; expected one of {known}. "
                f"Describe it under variants.{name}"
            )
    for name, choices in variants.items():
        if name in KINDS:
            raise InputError(f"variants.{name}: the name is taken; choose another")
        if name not in models:
            raise InputError(f"variants.{name}: not among models; add it there, or remove it")
        without_effect = {"sharing", "glorot_fans", "vcp", *SCHEMES} & choices.keys()
        if choices["kind"] == "cnn" and without_effect:
            raise InputError(
                f"variants.{name}.{min(without_effect)}: of free convolutions alone; "
                "expected kind: fcn"
            )
        for one, other in combinations(sorted({"sharing", *SCHEMES} & choices.keys()), 2):
            if (one, other) not in TOGETHER:
                raise InputError(
                    f"variants.{name}: {one} and {other} are different ways of sharing weights; "
                    "keep one of them, and describe another variant for the other"
                )


def _check_built(network, extension, vcp, variants):
    """What networks that a function builds as a whole cannot have."""
    reason = f"{network} is built by a function of {extension.path}, which knows of no"
    remedy = "let that function return the sizes of its layers"
    if vcp:
        raise InputError(f"vcp: {reason} masked connections; {remedy}, or set vcp to null")
    for name, choices in variants.items():
        if {"sharing", "glorot_fans", *SCHEMES} & choices.keys():
            raise InputError(f"variants.{name}: {reason} variants; {remedy}, or remove the variant")


def _check_search(search, datasets, fold_count):
    for name in search["datasets"]:
        if name not in datasets:
            raise InputError(
                f"search.datasets.{name}: not a data set of this study; expected one of "
                f"{', '.join(datasets)}. Describe its training under datasets.{name}"
            )
    if search["fold"] >= fold_count:
        raise InputError(
            f"search.fold: {search['fold']} is not allowed; "
            f"expected 0 to {fold_count - 1}, since folds.count is {fold_count}"
        )
