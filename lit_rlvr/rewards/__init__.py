"""Stage 3: verdicts on responses, and rewards made of verdicts. One verifier serves training and evaluation."""

from lit_rlvr.rewards.rule import Mode, Rule
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rewards.verifier import Verifier, check_gold, verify

__all__ = ["Kind", "Mode", "Rule", "Verdict", "Verifier", "check_gold", "verify"]
