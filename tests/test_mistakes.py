"""Which exceptions get a sentence, where the cause is hidden in others; the sentences themselves: tests/mistakes."""

import errno

import pytest

from lit_rlvr.errors import UserError, chain
from lit_rlvr.mistakes import sentence_for, user_error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_ring_of_exceptions_comes_to_an_end() -> None:
    first, second, third = ValueError("1"), OSError("2"), ValueError("3")
    first.__cause__, second.__context__, third.__context__ = second, third, second
    assert list(chain(first)) == [first, second, third]
    assert user_error(first) is None


def test_the_mistake_behind_others_is_found() -> None:
    ours = UserError("what, where, how")
    assert sentence_for(caused(ValueError("wrapped"), caused(TypeError("again"), ours))) == "what, where, how"


def test_a_full_disk_behind_the_logger() -> None:
    try:
        with open("/dev/full", "w", encoding="utf-8") as full:
            full.write("x")
    except OSError as error:
        full_disk = error
    assert full_disk.filename is None  # as it is of every file that was open already
    said = sentence_for(caused(ValueError("you tried to log 0.5 which is not supported"), full_disk))
    assert said is not None
    assert "No space left on device" in said


@pytest.mark.parametrize(
    "error", [ConnectionResetError(errno.ECONNRESET, "reset"), ValueError("ours"), OSError("bare")]
)
def test_what_no_user_can_mend_is_a_fault_of_ours(error: Exception) -> None:
    assert sentence_for(error) is None
