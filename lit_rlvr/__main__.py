"""The `lit-rlvr` command, also as `python -m lit_rlvr`. Loads torch only for the commands that need it."""

import sys

from lit_rlvr.commands import COMMANDS, INTERRUPTED, call


def main() -> None:
    """Entry point of the console script."""
    try:
        if sys.argv[1:2] and sys.argv[1] in COMMANDS:
            call(sys.argv[1], sys.argv[2:])
        from lit_rlvr.cli import main as others

        others()
    except KeyboardInterrupt:  # where nothing is under way that would be saved: packages are loading, or a policy
        print("lit-rlvr: stopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
