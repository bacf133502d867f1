"""The symbolic step of the deepscaler rule: does the difference of two elements simplify to zero? Workers only.

As the original does, gold and answer are joined to one formula as text before it is read. Deviation: where the original
could hang for ever (it has no time limit) the outcome is ``"too_costly"``.
"""

import sympy

from lit_rlvr.rewards import limits
from lit_rlvr.rewards.compat.deepscaler import compare, prm_form
from lit_rlvr.rewards.compat.reader import TooCostlyError, UnreadableError, is_zero, read


def judge(answer: str, gold: str) -> str:
    """``"equal"``, ``"different"``, ``"unparsable"`` (the answer is no mathematics) or ``"too_costly"``."""
    if limits.too_costly(prm_form(answer), prm_form(gold)):
        return "too_costly"
    try:
        return "equal" if compare(answer, gold, _same) else "different"
    except TooCostlyError:
        return "too_costly"
    except UnreadableError:
        return "unparsable"


def _same(answer: str, gold: str) -> bool:
    difference = read(f"({gold})-({answer})".replace("^", "**"), implicit=True)
    if not isinstance(difference, sympy.Basic):
        raise UnreadableError("several values")
    try:
        return is_zero(sympy.simplify(difference))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises all kinds on odd input, and the original takes any of them for unequal
        return False
