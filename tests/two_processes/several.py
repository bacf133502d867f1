"""Several runs of the command, one after the other in the same two processes, which take longest to start.

python -m tests.two_processes.several FILE          # JSON: a list of command lines
"""

import json
import sys
from pathlib import Path

from lit_rlvr.cli import run

if __name__ == "__main__":
    for line in json.loads(Path(sys.argv[1]).read_text()):
        run(line)
