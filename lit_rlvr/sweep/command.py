"""`lit-rlvr sweep GRID`: read the grid, refuse what is stale, run what is missing, write the table."""

import shlex
import sys
from pathlib import Path

from lit_rlvr.commands import CommandParser
from lit_rlvr.errors import UserError
from lit_rlvr.files import write_atomically
from lit_rlvr.sweep.grid import read_grid
from lit_rlvr.sweep.run import Run
from lit_rlvr.sweep.runner import Runner
from lit_rlvr.sweep.table import make_table

_SIGNAL = 128  # the shell's own: 128 + the signal's number


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    own, extra = arguments, list[str]()
    if "--" in arguments:
        place = arguments.index("--")
        own, extra = arguments[:place], arguments[place + 1 :]
    parser = CommandParser(
        "sweep",
        "Run the arms of a grid with several seeds and make one table. Called again, it goes on where it stopped. What "
        "follows a bare -- is given to every arm that trains.",
    )
    add = parser.add_argument
    add("grid", type=Path, help="YAML file: base, and arms with title, verb and arguments")
    add("--root", type=Path, default=Path("runs/sweep"), help="folder of the runs")
    add(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="every arm runs with each; all arms with the first first",
    )
    add("--arms", type=str, nargs="+", default=None, help="run these alone, and make the table of them")
    add("--jobs", type=int, default=1, help="runs at once; each gets its share of the cores")
    add("--table", type=Path, default=None, metavar="FILE", help="write the table there, too")
    add("--redo", action="store_true", help="do again the runs whose arguments have changed since")
    options = parser.parse_args(own)
    if options.jobs < 1:
        raise UserError(f"--jobs is {options.jobs}; it must be at least 1.")
    if min(options.seeds) < 0:
        raise UserError(f"--seeds names {min(options.seeds)}; seeds are 0 or more.")
    if len(set(options.seeds)) < len(options.seeds):
        raise UserError(f"--seeds names a seed twice: {' '.join(map(str, options.seeds))}.")
    grid = read_grid(options.grid, extra).choose(options.arms)
    runs = [Run(arm, seed, options.root) for seed in options.seeds for arm in grid.arms]
    line = f"lit-rlvr sweep {shlex.join(arguments)}"

    _check_targets(options.root, options.table)
    runner = Runner(runs, options.jobs, _stale(runs, options.redo))
    ready = len(runs) - runner.total
    print(f"{len(runs)} run{'s' * (len(runs) > 1)}, {ready} done already, {runner.total} to do.", flush=True)
    runner.work()
    done = [run for run in runs if run.done]
    if done:
        table = make_table(grid.arms, done, runs, line)
        print(f"\n{table}", end="")
        if options.table is not None:
            write_atomically(options.table, lambda path: path.write_text(table, "utf-8"))
    if runner.stopped is not None:
        print(f"lit-rlvr: stopped, {len(runs) - len(done)} to do; go on with: {line}", file=sys.stderr)
        return _SIGNAL + runner.stopped
    if runner.failed:
        names = "; ".join(map(str, runner.failed))
        print(
            f"lit-rlvr: {len(runner.failed)} of {len(runs)} runs failed: {names}. To try them again: {line}",
            file=sys.stderr,
        )
        return 1
    return 0


def _check_targets(root: Path, table: Path | None) -> None:
    """Before hours of work, not after."""
    for option, folder in (("--root", root), ("--table", None if table is None else table.parent)):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{option}: the folder {folder} cannot be made: {error.strerror}.") from error
    if table is not None and table.is_dir():
        raise UserError(f"--table: {table} is a folder; name a file in it.")


def _stale(runs: list[Run], redo: bool) -> list[Run]:
    """Those that were begun with other arguments, if they may be done again.

    Raises:
        UserError: there are some, and they may not.
    """
    changes = {run: change for run in runs if (change := run.change())}
    if changes and not redo:
        first, change = next(iter(changes.items()))
        others = f", and so are {len(changes) - 1} others" if len(changes) > 1 else ""
        raise UserError(
            f"{first.folder} is of another grid than this ({change}){others}; give --redo to do what has changed "
            "again, or another --root to keep both."
        )
    return list(changes)
