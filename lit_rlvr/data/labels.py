"""Wrong gold answers on purpose: the paper's label experiments (one problem with another label, a share of a full set)."""

from dataclasses import replace

import torch

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.seeding import step_seed


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
    labels by their form.

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
    corrupted = list(problems)
    for index in torch.randperm(len(problems), generator=generator)[:count].tolist():
        own = _value(problems[index].answer)
        others = sorted({problem.answer for problem in problems if _value(problem.answer) != own})
        if not others:
            raise UserError(
                f"data.wrong_label_share borrows wrong answers from other problems, and all {len(problems)} have the answer "
                f"{problems[index].answer}; use data.label to set a wrong one."
            )
        pick = int(torch.randint(len(others), (), generator=generator))
        corrupted[index] = replace(problems[index], answer=others[pick])
    return tuple(corrupted)


def _value(answer: str) -> float | str:
    """Equal for answers that are the same number in other writing (12 and 12.0)."""
    try:
        return float(answer)
    except ValueError:
        return answer
