"""Makes the package index's page from README.md, whose links are relative to the repository."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


def absolute(text, repository, version):
    """A Markdown text whose relative links lead into a repository.

    Args:
        text: with links relative to the top of the repository.
        repository: its address on GitHub; None leaves of a link its words, of a picture nothing.
        version: of the package, whose tag is `v<version>`.
    """

    def link(match):
        mark, words, target = match.groups()
        if repository is None:
            return "" if mark else words
        view = "raw" if mark else "blob"
        return f"{mark}[{words}]({repository}/{view}/v{version}/{target})"

    return LINK.sub(link, text)


class Readme(MetadataHookInterface):
    """The long description of the package."""

    def update(self, metadata):
        """Adds it to the metadata of the project."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        text = absolute(text, repository, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
