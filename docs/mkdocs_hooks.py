"""What MkDocs takes up beyond docs/: pages kept beside what they explain, and files linked to.

Every file goes by its path in the repository, so that one and the same link works there, on a code
host and on the site.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File, Files

LINK = re.compile(r"\]\(([^)#?\s:]+)(?:#[^)]*)?\)")


def on_config(config):
    """List the pages of docs/ that the navigation does not name at its end."""
    named = set(_leaves(config.nav))
    pages = sorted(f"docs/{page.name}" for page in Path(config.docs_dir).glob("*.md"))
    config.nav += [page for page in pages if page not in named]
    return config


def on_files(files, config):
    """Name files by their paths in the repository; add what is outside docs/."""
    root = Path(config.config_file_path).parent
    ours = [file for file in files if _is_inside(file, config.docs_dir)]
    taken = {f"docs/{file.src_uri}": file.dest_uri for file in ours if file.inclusion.is_included()}
    pages = list(dict.fromkeys([*taken, *_leaves(config.nav)]))
    linked = [path for page in pages for path in _links(root, page)]
    for path in [*pages, *linked]:
        # The first page of the site is docs/index.md.
        taken.setdefault(path, "readme.html" if path == "README.md" else None)
    others = [file for file in files if file not in ours]
    directories = config.use_directory_urls
    named = [
        File(path, str(root), config.site_dir, directories, dest_uri=destination)
        for path, destination in taken.items()
    ]
    return Files([*others, *named])


def _leaves(nav):
    """The pages of a navigation, a list of pages and of mappings from titles to such."""
    for entry in nav if isinstance(nav, list) else [nav]:
        if isinstance(entry, dict):
            for branch in entry.values():
                yield from _leaves(branch)
        else:
            yield entry


def _is_inside(file, folder):
    return file.src_dir is not None and Path(file.src_dir) == Path(folder)


def _links(root, page):
    """The files that a Markdown file links to, as paths from the root."""
    path = root / page
    if path.suffix != ".md" or not path.exists():
        return
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        file = (path.parent / target).resolve()
        if file.is_file() and file.is_relative_to(root):
            yield file.relative_to(root).as_posix()
