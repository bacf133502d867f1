"""The symbolic step of each rule. Imported by the workers only: it loads sympy, and it is where answers are parsed."""

from collections.abc import Callable

from lit_rlvr.rewards import symbolic
from lit_rlvr.rewards.compat import judge_deepscaler, judge_qwen

JUDGES: dict[str, Callable[[str, str], str]] = {
    "exact": symbolic.judge,
    "deepscaler": judge_deepscaler.judge,
    "qwen": judge_qwen.judge,
}
"""Rule -> (answer, gold) -> ``"equal"``, ``"different"``, ``"unparsable"`` or ``"too_costly"``."""
