"""Where the images of a data set come from: files to download, or files that are here already."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from freeconv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ROLES = {
    "digits": (),
    "signal": (),
    "idx": ("train_images", "train_labels", "test_images", "test_labels"),
    "cifar10": ("archive",),
    "npz": ("archive",),
    "folder": ("archive",),
}
"""Format of a data set -> roles of the files that it is made of."""


class SourceFile(NamedTuple):
    """A file of a data set.

    Attributes:
        path: where it lies on this machine; None if it is downloaded.
        name: that it is downloaded by; None if it is here.
        sha256: digest of its content; None if it is here.
    """

    path: str | None
    name: str | None
    sha256: str | None


def files_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """The files of a source, by their roles.

    Args:
        source: an entry of the key `sources` of a configuration, valid by the schema. A `path`
            goes before all that is downloaded, since a study's source adds to one of the same name.

    Returns:
        Mapping, role -> `SourceFile`.
    """
    if "path" in source:
        return {"archive": SourceFile(source["path"], None, None)}
    files = {}
    for role, file in source.get("files", {}).items():
        if "path" in file:
            files[role] = SourceFile(file["path"], None, None)
        else:
            files[role] = SourceFile(None, file.get("name"), file.get("sha256"))
    return files


def check_source(dataset: str, source: Mapping[str, Any]) -> None:
    """Raise InputError unless a source has the files that its format is made of.

    Args:
        dataset: name of the data set.
        source: see `files_of`.
    """
    key, source_format = f"sources.{dataset}", source["format"]
    files, roles = files_of(source), ROLES[source_format]
    whole = roles == ("archive",)
    made_of = f"the format {source_format} is made of {', '.join(roles) or 'no file'}"
    if "path" in source and not whole:
        raise InputError(f"{key}.path: {made_of}; give the path of each under {key}.files")
    for role in roles:
        if role not in files:
            hint = f"; for one on this machine, give {key}.path" if whole else ""
            raise InputError(f"{key}.files.{role}: missing; {made_of}{hint}")
    for role, file in files.items():
        if role not in roles:
            raise InputError(f"{key}.files.{role}: unknown file; {made_of}")
        for name in ("name", "sha256") if file.path is None else ():
            if getattr(file, name) is None:
                raise InputError(
                    f"{key}.files.{role}.{name}: missing; a file that is downloaded needs it, and "
                    "one on this machine needs `path` alone"
                )
    if ("signal" in source) != (source_format == "signal"):
        raise InputError(
            f"{key}.signal: the format signal is made by what stands under this key; no other is"
        )
    if "arrays" in source and source_format != "npz":
        raise InputError(f"{key}.arrays: only the format npz has arrays; remove it")
