"""`lit-rlvr` with one thing more: on SIGUSR2 the process says where it is, so that it is known where a kill struck."""

import faulthandler
import os
import signal
import sys

if __name__ == "__main__":
    # Written by a C handler at once, whatever Python is doing.
    faulthandler.register(signal.SIGUSR2, open(os.environ["KILLS_STACK"], "w"), all_threads=False)  # noqa: SIM115
    from lit_rlvr.cli import main

    sys.argv[0] = "lit-rlvr"
    main()
