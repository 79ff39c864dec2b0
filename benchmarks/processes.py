"""Runs scripts and the workflow as a user does, and learns how much memory each script took."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
RECORDER = Path(__file__).parent / "recorder"


class Finished(NamedTuple):
    """A command that ended well.

    Attributes:
        seconds: from start to end.
        output: its standard output.
        errors: its standard error.
    """

    seconds: float
    output: str
    errors: str


class Runner:
    """Runs commands with the library and the recorder of memory at hand.

    Args:
        folder: where commands run, and records are kept; a new one.
        log: file that their standard error is appended to.
    """

    def __init__(self, folder, log):
        self.folder = Path(folder)
        self._records = self.folder / "memory"
        self._records.mkdir()
        self._log = log

    def python(self, *arguments):
        """Run Python with arguments; a `Finished`.

        Raises:
            RuntimeError: if it ends with an error, with the end of its output.
        """
        search_path = [str(RECORDER), str(ROOT), str(ROOT / "src")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(search_path),
            "BENCHMARKS_MEMORY": str(self._records),
        }
        command = [sys.executable, *map(str, arguments)]
        start = time.perf_counter()
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        with self._log.open("a") as file:
            file.write(ended.stderr)
        if ended.returncode:
            raise RuntimeError(
                f"{' '.join(command[:5])} ... failed:\n{(ended.stdout + ended.stderr)[-3000:]}"
            )
        return Finished(seconds, ended.stdout, ended.stderr)

    def script(self, name, *arguments):
        """Run a script of the project; a `Finished`."""
        return self.python(ROOT / "scripts" / name, *arguments)

    def snakemake(self, *arguments):
        """Run the workflow; a `Finished`."""
        command = ["-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
        return self.python(*command, "--directory", self.folder, *arguments)

    def peak_memory(self):
        """Script -> list of the most memory that each of its processes held, bytes.

        Forgets what it returns.
        """
        peaks = {}
        for path in sorted(self._records.iterdir()):
            record = json.loads(path.read_text())
            peaks.setdefault(record["script"], []).append(record["peak"])
            path.unlink()
        return peaks
