"""Run command lines of lit-rlvr one after the other in a process (or two) that has the accelerator, and note down what they did.

python -m tests.accelerator.child FILE          # JSON: a list of {"arguments": […], "result": "a file to write", "port": free}

Each result is a JSON object: what the line printed, its exit status, the traceback where it died, its CPU seconds, and what it asked of the
device.
Lines that ask for the CPU are as welcome: whoever wants to compare saves the start of another process.
"""

import contextlib
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from lit_rlvr.cli import run
from tests.accelerator.counts import counted
from tests.accelerator.lightning_accelerator import install


def attempt(arguments: list[str]) -> dict[str, Any]:
    """Run one line to its end, whatever that is."""
    said, status, died = io.StringIO(), 0, None
    begun = time.process_time()
    with counted() as counts, contextlib.redirect_stdout(said):
        try:
            run(arguments)
        except SystemExit as stop:
            status = int(stop.code or 0)
        except BaseException:
            status, died = 1, traceback.format_exc()
    return {
        "said": said.getvalue(),
        "status": status,
        "died": died,
        "seconds": time.process_time() - begun,
        **counts.summary(),
    }


def main(lines: list[dict[str, Any]]) -> None:
    """Run them; the first process writes the results. A line that dies in one process of two ends both."""
    for line in lines:
        os.environ["MASTER_PORT"] = str(line["port"])  # a process must not find the meeting place of the line before
        result = attempt(line["arguments"])
        # What one line asks for is not for the next, and the next may want collectives of the CPU.
        torch.use_deterministic_algorithms(False)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        if int(os.environ.get("LOCAL_RANK", 0)) == 0:
            Path(line["result"]).write_text(json.dumps(result))
        if result["died"] is not None:
            print(result["died"], file=sys.stderr, flush=True)
            if "LOCAL_RANK" in os.environ:
                os._exit(1)  # the other process waits for this one


if __name__ == "__main__":
    install()
    main(json.loads(Path(sys.argv[1]).read_text()))
