"""The `lit-rlvr` command, also as `python -m lit_rlvr`. Loads torch only for the commands that need it."""

import sys


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] == ["grade"]:
        from lit_rlvr.grade import main as grade

        grade(sys.argv[2:])
    else:
        from lit_rlvr.cli import main as others

        others()


if __name__ == "__main__":
    main()
