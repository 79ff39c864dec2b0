"""Where this workflow lies: its rules, library, scripts and studies belong together."""

import os
import tempfile

from snakemake.exceptions import WorkflowError


def local_copy(source):
    """The folder of a repository's files, checked out once per commit beside Snakemake's clone.

    Jobs need scripts and library on this machine; Snakemake takes single files from its clone.
    """
    try:
        repository = source.hosted_repo.repo
    except AttributeError:
        raise WorkflowError(
            f"{source}: FreeConv runs from a copy on this machine: git clone it and name its "
            "workflow/Snakefile, or use github(...) with Snakemake 9.14.6 or later"
        ) from None
    commit = repository.commit(source.ref).hexsha
    folder = workflow.sourcecache.cache_path / "freeconv" / commit
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            os.mkdir(f"{made}/files")
            where = {
                "GIT_DIR": str(repository.git_dir),
                "GIT_WORK_TREE": f"{made}/files",
                "GIT_INDEX_FILE": f"{made}/index",
            }
            with repository.git.custom_environment(**where):
                # Precomputed results are of a clone, and large.
                repository.git.checkout(commit, "--", ".", ":!results")
            try:
                os.rename(f"{made}/files", folder)
            except OSError:
                # Another run was faster.
                if not folder.is_dir():
                    raise
    return folder


# Of this file, also where another workflow imports it as a module.
HERE = workflow.current_basedir
ABOVE = (
    "" if os.path.isabs(HERE.get_path_or_uri(secret_free=True)) else local_copy(HERE)
)
ROOT = os.path.normpath(os.path.join(ABOVE, HERE.path, "../../.."))
