"""Wrong gold answers on purpose: the paper's label experiments (one problem with another label, a share of a full set)."""

from dataclasses import replace

import torch

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.exact import decide
from lit_rlvr.rewards.verdict import Kind
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.seeding import step_seed

# For the symbolic step on two gold answers. Ten times what a response gets: a busy machine must not change the labels.
_SECONDS = 10.0


def replace_labels(problems: tuple[Problem, ...], label: str) -> tuple[Problem, ...]:
    """The same problems, all with ``label`` as their gold answer.

    Raises:
        UserError: the label is blank.
    """
    if not label.strip():
        raise UserError("data.label is blank; give the answer that is to be rewarded, or leave the key out.")
    return tuple(replace(problem, answer=label.strip()) for problem in problems)


def corrupt_labels(problems: tuple[Problem, ...], share: float, seed: int) -> tuple[Problem, ...]:
    """The same problems, ``round(share * P)`` of them with the gold answer of another problem, different from their own.

    Wrong answers are taken from the other problems, so that they look like answers: a policy cannot tell the wrong
    labels by their form. Different means that the verifier's exact rule takes neither for the other. Answers that it can
    tell apart without symbols are preferred, for that takes microseconds.

    Args:
        problems: P problems.
        share: of problems to corrupt, 0 to 1.
        seed: decides which problems, and which answers they get.

    Raises:
        UserError: the share is no share, or no problem has another answer to borrow.
    """
    if not 0 <= share <= 1:
        raise UserError(f"data.wrong_label_share is {share}; it is a share of the problems, from 0 to 1.")
    count = round(share * len(problems))
    generator = torch.Generator().manual_seed(step_seed(seed, 0, stream="wrong labels"))
    corrupted, answers = list(problems), sorted({problem.answer for problem in problems})
    with Verifier(workers=1, timeout=_SECONDS) as verifier:
        for index in torch.randperm(len(problems), generator=generator)[:count].tolist():
            own = problems[index].answer
            others = [answers[i] for i in torch.randperm(len(answers), generator=generator).tolist()]
            other = next((answer for answer in others if _different(answer, own)), None)
            other = other or next((answer for answer in others if _different_by_symbols(answer, own, verifier)), None)
            if other is None:
                raise UserError(
                    f"data.wrong_label_share borrows wrong answers from other problems, and none of the {len(problems)} has "
                    f"one that is surely different from {own}; use data.label to set a wrong one."
                )
            corrupted[index] = replace(problems[index], answer=other)
    return tuple(corrupted)


def _different(answer: str, own: str) -> bool:
    """Whether the exact rule, without symbols, finds that neither is right where the other is the gold answer."""
    return all(decide(a, gold) not in (Kind.RIGHT, None) for a, gold in ((answer, own), (own, answer)))


def _different_by_symbols(answer: str, own: str, verifier: Verifier) -> bool:
    """The same with the symbolic step."""
    verdicts = verifier.verify_many([(rf"\boxed{{{answer}}}", own), (rf"\boxed{{{own}}}", answer)])
    return all(verdict.kind is Kind.WRONG for verdict in verdicts)
