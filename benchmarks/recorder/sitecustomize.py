"""Python imports this at its start where the folder is on its path: notes a script's memory.

The peak is that of this program alone. What `getrusage` and Snakemake's benchmark files report
begins with the size of the process that started it, or samples every few seconds.
"""

import atexit
import json
import os
import re
import sys
from pathlib import Path


def _peak():
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _note():
    program = Path(sys.argv[0] if sys.argv else "")
    if program.suffix == ".py":
        script = program.parent.name if program.stem == "__main__" else program.name
        record = {"script": script, "peak": _peak()}
        file = Path(os.environ["BENCHMARKS_MEMORY"]) / f"{os.getpid()}.json"
        file.write_text(json.dumps(record), encoding="utf-8")


if "BENCHMARKS_MEMORY" in os.environ:
    atexit.register(_note)
