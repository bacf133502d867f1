"""The one exception that is meant for the person at the keyboard."""

from collections.abc import Iterator
from typing import Any


class UserError(Exception):
    """A mistake the user can mend: one clear sentence saying what, where and how to mend it.

    The command line prints it without a traceback and exits with status 2; any other exception is a fault of ours.
    """


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that led to it, each once: a thread of TensorBoard raises one object again and again, in a ring."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: Exception) -> str:
    """What another library's error says, cut to its first line; its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return cut(lines[0], 200) if lines else type(error).__name__


def shown(value: Any, longest: int = 80) -> str:
    """A value as it may stand in a sentence: on one line, and cut where it is long."""
    return cut(" ".join(repr(value).split()), longest)


def cut(text: str, longest: int = 120) -> str:
    """A text that may be of any length, for a sentence."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
