"""majority@k: is the answer that most responses agree on right? Answers and verdicts of one problem -> its credit.

Beside the metrics, below the tally. Answers agree if they have the verifier's normal form in common or are the same exact
number (12.80 and 64/5). The symbolic step plays no part: it compares with the gold, which a vote must not see.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from lit_rlvr.rewards.limits import MAX_BOX
from lit_rlvr.rewards.normalize import normal_form
from lit_rlvr.rewards.numbers import read_number
from lit_rlvr.rewards.verdict import Verdict


def ballot(answer: str | None) -> str | Fraction | None:
    """What an answer is counted under; None for no answer, which does not vote."""
    if answer is None or not answer.strip():
        return None
    if len(answer) > MAX_BOX:  # not read by the verifier, either
        return answer
    form = normal_form(answer)
    number = read_number(form)
    return form if number is None else number


def majority_credit(verdicts: Sequence[Verdict]) -> float:
    """Credit of one problem, from the verdicts on all of its responses.

    1 if the most frequent answer is right, 0 if not or if nothing was answered. Where several answers are equally
    frequent, the share of them that is right: what drawing lots between them would give on average.
    """
    votes: Counter[str | Fraction] = Counter()
    right: dict[str | Fraction, bool] = {}
    for verdict in verdicts:
        vote = ballot(verdict.answer)
        if vote is not None:
            votes[vote] += 1
            right.setdefault(vote, verdict.right)
    most = max(votes.values(), default=0)
    winners = [vote for vote, count in votes.items() if count == most]
    return sum(right[vote] for vote in winners) / len(winners) if winners else 0.0
