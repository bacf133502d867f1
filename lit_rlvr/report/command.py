"""`lit-rlvr report RUN [RUN …]`: find the runs, measure, draw, write the page. The whole line of the report."""

from collections.abc import Sequence
from pathlib import Path

from lit_rlvr.commands import CommandParser
from lit_rlvr.errors import UserError
from lit_rlvr.files import write_atomically
from lit_rlvr.report.arms import find_arms
from lit_rlvr.report.drawing import look
from lit_rlvr.report.html_page import GENERATOR, to_html
from lit_rlvr.report.markdown import to_markdown
from lit_rlvr.report.page import Picture
from lit_rlvr.report.sections import make_sections

NAMED = 4
"""Arms up to which the title names them."""

PAGE, TEXT, FIGURES = "report.html", "report.md", "figures"


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    parser = CommandParser("report", "Tables, figures and one page from runs, also unfinished ones.")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, folders of seeds, or roots of a sweep")
    parser.add_argument("--output", type=Path, default=Path("report"), help="where to write")
    parser.add_argument("--title", default=None, help="of the page; by default the arms' names")
    options = parser.parse_args(arguments)
    report(options.runs, options.output, options.title)
    return 0


def report(runs: Sequence[Path], output: Path, title: str | None = None) -> None:
    """Write the report of ``runs`` into ``output``, and say what was written.

    Raises:
        UserError: a folder without runs, a damaged `evaluations.jsonl`, or an output folder that holds something else.
    """
    earlier = _earlier_figures(output)
    arms, notes = find_arms(runs)
    named = ", ".join(arm.name for arm in arms) if len(arms) <= NAMED else f"{len(arms)} arms"
    title = title or f"lit-rlvr report: {named}"
    try:
        with look():
            sections = make_sections(arms, notes, output / FIGURES)
        write_atomically(output / TEXT, lambda path: path.write_text(to_markdown(title, sections, output), "utf-8"))
        write_atomically(output / PAGE, lambda path: path.write_text(to_html(title, sections), "utf-8"))
        written = {block.file for section in sections for block in section.blocks if isinstance(block, Picture)}
        for stale in earlier - written:
            stale.unlink()
    except OSError as error:
        raise UserError(f"Cannot write to {output} ({error.strerror}); choose another folder with --output.") from error
    seeds = sum(len(arm.runs) for arm in arms)
    print(
        f"{len(arms)} {'arm' if len(arms) == 1 else 'arms'}, {seeds} {'run' if seeds == 1 else 'runs'}, {len(written)} figures."
    )
    for note in notes:
        print(f"  note: {note}")
    print(f"{'Replaced' if earlier else 'Wrote'} {output / PAGE} (one page, open it in a browser) and {output / TEXT}.")


def _earlier_figures(output: Path) -> set[Path]:
    """The figures of an earlier report in the folder; the folder may hold nothing else than a report.

    Raises:
        UserError: it does.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file; name a folder for the report with --output.")
    found = sorted(output.iterdir()) if output.is_dir() else []
    if not found:
        return set()
    page = output / PAGE
    ours = page.is_file() and f'content="{GENERATOR}"' in page.read_text("utf-8", "replace")
    figures = sorted((output / FIGURES).iterdir()) if (output / FIGURES).is_dir() else []
    foreign = [p for p in found if not ours or p.name not in (PAGE, TEXT, FIGURES)] + [
        p for p in figures if p.suffix != ".png"
    ]
    if foreign:
        raise UserError(
            f"{output} holds {foreign[0].name}, which no report wrote; name another folder with --output, or empty this one."
        )
    return set(figures)
