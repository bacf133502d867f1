"""Where problems come from: a built-in name, a local file, or a data set of the Hugging Face hub.

Start of the line: a source given as a string -> a tuple of Problems, which the DataModule and the benchmarks use.
"""

import os
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lit_rlvr.data.schemas import SchemaError, parse_row
from lit_rlvr.errors import UserError, cut, shown
from lit_rlvr.experience import Problem
from lit_rlvr.files import json_lines, json_text, parse_json

_ENDINGS = (".parquet", ".jsonl", ".json")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(:[\w.\-]+){0,2}")
_BUILT_IN = re.compile(r"tiny(/.*|-pool|500)?")
DATA_ROOT = "LIT_RLVR_DATA"
"""Environment variable naming the folder of the benchmarks' files and of the paper's, which are not ours to ship."""

PAPER_FILES = {
    **{name: f"one_shot_rlvr/{name}_r128.parquet" for name in ("pi1", "pi2", "pi13", "pi1209")},
    "pi1-pi13": "one_shot_rlvr/merge_pi1_pi13_r128.parquet",
    "pi1-pi2-pi13-pi1209": "one_shot_rlvr/merge_pi1_pi2_pi13_pi1209_r128.parquet",
    "dsr-sub": "one_shot_rlvr/dsr_sub.parquet",
}
"""The paper's training sets by name -> file of its release, below ``LIT_RLVR_DATA``."""

_Numbered = tuple[int, Any]
"""A row and its number in the file, counted from 1."""


def read_problems(
    source: str, select: Sequence[int] | Sequence[str] | None = None, distinct: bool = True
) -> tuple[Problem, ...]:
    """All problems of a source, or the selected ones.

    Args:
        source: ``tiny``, ``tiny/<name>``, ``tiny-pool``, ``tiny500``; one of :data:`PAPER_FILES`; a .parquet, .jsonl or .json file; or a hub id
            ``owner/name``, ``owner/name:split``, ``owner/name:config:split``.
        select: ids, in the order wanted. Numbers mean ids where all ids of the source are whole numbers (the index of
            verl rows, the row number counted from 0 where rows have no id), and positions counted from 0 elsewhere.
        distinct: copies of one row (the paper's files repeat a problem 128 times) become one problem. Two rows are
            copies if question, answer and the id that the file gives them (if any) are equal.

    Returns:
        Problems in the order of the source, or of ``select``. Their ids differ; rows without an id get their number,
        counted from 0. A row with a blank gold answer cannot be rewarded and is left out with a warning, for the
        paper's own file of 1,209 problems has one.

    Raises:
        UserError: nothing is there under this name, a row cannot be read, or no selected problem has a gold answer.
    """
    problems, where = find_problems(source, distinct)
    return _answered(select_problems(problems, select, where), where, strict=select is not None)


def find_problems(source: str, distinct: bool = True) -> tuple[tuple[Problem, ...], str]:
    """Every problem of a source, those with a blank gold answer too, and where they were found.

    Args:
        source: as for :func:`read_problems`.
        distinct: likewise.

    Raises:
        UserError: nothing is there under this name, or a row cannot be read.
    """
    if _BUILT_IN.fullmatch(source) and Path(source).suffix not in _ENDINGS:
        return _built_in(source), source
    if source in PAPER_FILES:
        source = _paper_file(source)
    if Path(source).suffix in _ENDINGS or _is_there(source):
        rows, where = _read_file(Path(source).expanduser()), source
        label = Path(source).name
    elif _HUB_ID.fullmatch(source):
        rows, where, label = _read_hub(source), source, source.split(":")[0]
    else:
        names = (*_built_in_names(), *PAPER_FILES)
        near = get_close_matches(source, names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(
            f"There is no problem source {shown(source)}{hint}; give one of {', '.join(names)}, a file ending in "
            f"{', '.join(_ENDINGS)}, or a hub id owner/name."
        )
    problems = _parse(rows, where, label, distinct)
    if not problems:
        raise UserError(f"{where} holds no problems; give it at least one row with a question and its answer.")
    return problems, where


def is_hub_id(source: str) -> bool:
    """Whether reading ``source`` means a download."""
    return (
        _HUB_ID.fullmatch(source) is not None
        and not _BUILT_IN.fullmatch(source)
        and Path(source).suffix not in _ENDINGS
        and not _is_there(source)
    )


def _is_there(source: str) -> bool:
    return os.path.exists(os.path.expanduser(source))  # which, unlike Path, never raises


def select_problems(
    problems: tuple[Problem, ...], select: Sequence[int] | Sequence[str] | None, where: str
) -> tuple[Problem, ...]:
    """The problems with these ids, or at these positions (see :func:`read_problems`); all of them for None.

    Raises:
        UserError: an empty selection, or an entry that names no problem or names one twice.
    """
    if select is None:
        return problems
    if not select:
        raise UserError("data.select is empty; name at least one problem, or leave it out to take them all.")
    by_id = {problem.id: problem for problem in problems}
    numbered = all(problem.id.isdecimal() for problem in problems)
    chosen = []
    for entry in select:
        if isinstance(entry, int) and not numbered and 0 <= entry < len(problems):
            chosen.append(problems[entry])
        elif str(entry) in by_id:
            chosen.append(by_id[str(entry)])
        else:
            near = get_close_matches(str(entry), by_id, n=1)
            known = f"the nearest is {cut(near[0])}" if near else f"the first ids are {cut(', '.join(list(by_id)[:5]))}"
            raise UserError(
                f"data.select names the problem {shown(entry)}, which {where} with its {len(problems)} problems does not have; "
                f"{known}."
            )
    if len(set(chosen)) < len(chosen):
        raise UserError(f"data.select names a problem of {where} twice; name each once, rows repeat by themselves.")
    return tuple(chosen)


def _built_in_names() -> tuple[str, ...]:
    from lit_rlvr.tiny.sets import NAMED  # lazily: files and hub ids need no generated problems

    return ("tiny", *NAMED, "tiny-pool", "tiny500")


def _built_in(source: str) -> tuple[Problem, ...]:
    from lit_rlvr.tiny import sets as tiny

    match source:
        case "tiny":
            return (tiny.one_shot(),)
        case "tiny-pool":
            return tiny.training_pool()
        case "tiny500":
            return tiny.tiny500()
    if source not in tiny.NAMED:
        near = get_close_matches(source, tiny.NAMED, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(
            f"There is no built-in problem {shown(source)}{hint}; use one of {', '.join(_built_in_names())}."
        )
    return (tiny.NAMED[source],)


def _paper_file(name: str) -> str:
    """Where the paper's file is.

    Raises:
        UserError: it is not there.
    """
    root = os.environ.get(DATA_ROOT)
    file = Path(root or "").expanduser() / PAPER_FILES[name]
    if root is None or not file.is_file():
        why = f"{DATA_ROOT} is not set" if root is None else f"{file} does not exist"
        raise UserError(
            f"data.source {name} is a file of the paper's release, and {why}: set {DATA_ROOT} to the folder that holds "
            f"{PAPER_FILES[name]}, or give the file's own path."
        )
    return str(file)


def _read_file(path: Path) -> Iterable[_Numbered]:
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it that ends in {', '.join(_ENDINGS)}.")
    if not path.exists():
        if not path.parent.is_dir():
            raise UserError(f"There is no problem file {path}: the folder {path.parent} does not exist.")
        near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else f"no name in {path.parent} is like it."
        raise UserError(f"There is no problem file {path}; {hint}")
    if path.suffix not in _ENDINGS:
        raise UserError(f"{path} ends in none of {', '.join(_ENDINGS)}; convert it, or rename it to what it holds.")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; give it at least one row with a question and its answer.")
    return {".parquet": _parquet_rows, ".jsonl": json_lines, ".json": _json_rows}[path.suffix](path)


def _parquet_rows(path: Path) -> list[_Numbered]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (
        pyarrow.ArrowException,
        OSError,
        ValueError,
        OverflowError,
    ) as error:  # a text that is no UTF-8, a date of no year
        raise UserError(f"{path} is not a readable parquet file: {_one_line(error)}.") from error
    return list(enumerate(rows, start=1))


def _json_rows(path: Path) -> list[_Numbered]:
    try:
        content = parse_json(json_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON ({_one_line(error)}); it should hold a list of objects, and a file with one object "
            "per line should end in .jsonl."
        ) from error
    return list(enumerate(content if isinstance(content, list) else [content], start=1))


def _read_hub(source: str) -> Iterable[_Numbered]:
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"{source} is read from the Hugging Face hub, which needs the package datasets: "
            "pip install 'lit-rlvr[hub]' (or give a local file)."
        ) from error
    name, *parts = source.split(":")
    config = parts[0] if len(parts) == 2 else None
    split = parts[-1] if parts else None
    try:
        loaded = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # the library raises many kinds: no network, no such set, config or split, no rights
        raise UserError(
            f"The hub data set {source} could not be read: {type(error).__name__}: {_one_line(error)} "
            "(form: owner/name:split or owner/name:config:split; for a local file, check its path)."
        ) from error
    if isinstance(loaded, dict):
        if len(loaded) != 1:
            raise UserError(
                f"The hub data set {name} has the splits {', '.join(loaded)}; say which, as in {source}:{next(iter(loaded))}."
            )
        loaded = next(iter(loaded.values()))
    return enumerate(loaded, start=1)


def _parse(rows: Iterable[_Numbered], where: str, label: str, distinct: bool) -> tuple[Problem, ...]:
    """Rows -> problems with ids that differ, copies collapsed if ``distinct``. Blank answers are still among them."""
    problems: list[Problem] = []
    copies: set[tuple[str, str, str]] = set()
    taken: set[str] = set()
    for position, (number, row) in enumerate(rows):
        if not isinstance(row, dict):
            raise UserError(
                f"{where}, row {number} is a {type(row).__name__}, not an object with a question and its answer."
            )
        try:
            problem = parse_row(row, label)
        except SchemaError as error:
            raise UserError(f"{where}, row {number}: {error}.") from error
        key = (problem.id, problem.question, problem.answer)
        if distinct and key in copies:
            continue
        copies.add(key)
        identity = wanted = problem.id or str(position)
        repeat = 1
        while identity in taken:  # files merged from several sets may use one number for different problems
            repeat += 1
            identity = f"{wanted}#{repeat}"
        taken.add(identity)
        problems.append(replace(problem, id=identity))
    return tuple(problems)


def _answered(problems: tuple[Problem, ...], where: str, strict: bool) -> tuple[Problem, ...]:
    """Those with a gold answer. An error if there is none, or if ``strict`` and one is missing."""
    blank = [problem.id for problem in problems if not problem.answer]
    if blank and (strict or len(blank) == len(problems)):
        raise UserError(
            f"{where}: problem {blank[0]} has no gold answer, so no response to it can be rewarded; give it one, or select "
            "another problem."
        )
    if blank:
        ids = ", ".join(blank[:5]) + (", …" if len(blank) > 5 else "")
        warnings.warn(
            f"{where}: {len(blank)} of {len(problems)} problems left out for want of a gold answer (ids {ids}).",
            stacklevel=3,
        )
    return tuple(problem for problem in problems if problem.answer)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
