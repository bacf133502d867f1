"""`python -m tests.fuzz --cases N`: all fuzzers, N cases of each; `--only NAME` for one of them."""

import sys

from tests.fuzz import configs, readers, verifier
from tests.fuzz.loop import main

FUZZERS = readers.FUZZERS | readers.SLOW | configs.FUZZERS | verifier.FUZZERS

if __name__ == "__main__":
    sys.exit(main(FUZZERS))
