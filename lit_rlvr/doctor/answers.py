"""Are right answers told from wrong ones? From: gold answers, the verifier and the reward. To: a sentence, or `UnfitError`."""

import re
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from lit_rlvr.doctor.outcome import UnfitError
from lit_rlvr.evaluation.evaluator import prompts_of
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.evaluation.rules import MAIN
from lit_rlvr.experience import Problem, Rollouts
from lit_rlvr.rewards.limits import readable
from lit_rlvr.rewards.normalize import normal_form
from lit_rlvr.rewards.rewards import FormatReward, RandomReward, Reward
from lit_rlvr.rewards.rule import Mode, Rule
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.rollout.responses import to_rollouts
from lit_rlvr.rollout.stopping import StopStrings

TRIED = 64
"""Problems whose answers are tried on the reward: a wrong one may take symbols, and so a second."""

ODD = 0.01
"""Share of gold answers that may be beyond a rule: published sets have such (1 of OlympiadBench's 675, 1 of MATH-500)."""

CONTROLS = (FormatReward, RandomReward)
"""They pay for something else than the answer, and are meant to."""

_WRONG = "304817"
"""A number that is nobody's answer."""


def boxed(answer: str) -> str:
    """A response in the form that every rule reads."""
    return rf"The answer is \boxed{{{answer}}}."


def wrong_for(gold: str) -> str:
    """An answer that is wrong: the next number where the gold answer is one."""
    return str(int(gold) + 1) if re.fullmatch(r"-?\d{1,18}", gold) else _WRONG


def check_golds(problems: Sequence[Problem], verifier: Verifier, rule: Rule, where: str) -> str:
    """Every gold answer can be read, and is right where it is given as the answer.

    Args:
        problems: with the labels that are rewarded.
        verifier: judges.
        rule: by which.
        where: the key they come from.
    """
    verdicts = verifier.verify_many([(boxed(p.answer), p.answer) for p in problems], rule, Mode.STRICT)
    bad = [
        problem
        for problem, verdict in zip(problems, verdicts, strict=True)
        if not verdict.right or not readable(normal_form(problem.answer), "")
    ]
    if len(bad) > ODD * len(problems):
        raise UnfitError(
            f"{where}: {len(bad):,} of {len(problems):,} gold answers cannot be read by the rule {rule}, that of problem "
            f"{bad[0].id} for one, {bad[0].answer!r}: little or nothing would count as right. Write it as plain mathematics, "
            "with every brace closed, or leave the problem out."
        )
    but = f" (of the others, as of problem {bad[0].id}, the same characters at best)" if bad else ""
    return f"{where}: {len(problems) - len(bad):,} of {len(problems):,} gold answers are read by the rule {rule}, and right where they are given{but}."


def check_reward(
    problems: Sequence[Problem],
    prompts: Sequence[tuple[int, ...]],
    tokenizer: PreTrainedTokenizerBase,
    verifier: Verifier,
    reward: Reward,
) -> str:
    """A right response is judged right and paid for; a wrong one, one without a box and an empty one are not.

    Args:
        problems: those that are tried.
        prompts: theirs.
        tokenizer: responses go through it, as those of a policy do.
        verifier: judges.
        reward: pays.
    """
    asked = [
        (problem, text)
        for problem in problems
        for text in (boxed(problem.answer), boxed(wrong_for(problem.answer)), problem.answer, "")
    ]
    rollouts = written(prompts, [text for _, text in asked], tokenizer)
    for (problem, text), said in zip(asked, rollouts.texts, strict=True):
        if text.split() != said.split():
            raise UnfitError(
                f"the tokenizer turns the response {text!r} to problem {problem.id} into {said!r}, so no policy can write it: "
                "give the policy's own tokenizer with model.tokenizer."
            )
    verdicts = verifier.verify_many([(said, p.answer) for (p, _), said in zip(asked, rollouts.texts, strict=True)])
    for place, ((problem, text), verdict) in enumerate(zip(asked, verdicts, strict=True)):
        if verdict.right != (place % 4 == 0):
            expected = "right" if place % 4 == 0 else "not right"
            raise UnfitError(
                f"the response {text!r} to problem {problem.id} (gold answer {problem.answer!r}) is judged {verdict.kind}, and "
                f"is {expected}: choose another model.verifier.rule, or write the gold answer otherwise."
            )
    rows = reward(verdicts, rollouts, 0).reshape(-1, 4)
    means = [f"{value:.3g}" for value in rows.mean(0).tolist()]
    paid = f"a right answer gets {means[0]}, a wrong one {means[1]}, one without a box {means[2]}, none {means[3]}"
    name = type(reward).__name__
    if isinstance(reward, CONTROLS):
        return f"verdicts are right; {name} pays for something else than the answer, as a control does: {paid}."
    low = rows[:, 0] <= rows[:, 1:].max(1).values
    if bool(low.any()):
        problem = problems[int(low.int().argmax())]
        raise UnfitError(
            f"{name} pays a right answer to problem {problem.id} no more than another ({paid}): mend model.reward, or training "
            "will lead away from the answer."
        )
    return f"by {name} {paid} (tried on the first {len(problems)})."


def written(prompts: Sequence[tuple[int, ...]], texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Rollouts:
    """Responses made by hand, equally many for each prompt, as if an engine had drawn them; log-probs are 0."""
    ends = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
    words = [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    ids = [[*one, *ends] or [0] for one in words]
    reading = StopStrings(tokenizer, (), ends)
    return to_rollouts(
        tuple(prompts),
        len(texts) // len(prompts),
        [torch.tensor(one) for one in ids],
        [torch.zeros(len(one)) for one in ids],
        torch.ones(len(texts), dtype=torch.bool),
        tuple(map(reading.text, ids)),
    )


def check_benchmark(
    plan: EvaluationPlan, verifier: Verifier, tokenizer: PreTrainedTokenizerBase, positions: int | None
) -> str:
    """A benchmark is there, its gold answers can be read, and its prompts fit."""
    problems = plan.problems()
    said = check_golds(problems, verifier, MAIN.rule, f"{plan.benchmark}")
    longest, room = max(map(len, prompts_of(plan, problems, tokenizer))), plan.sampling.max_tokens
    if positions is not None and longest + room > positions:
        raise UnfitError(
            f"the longest prompt of {plan.benchmark} has {longest} tokens, which with max_tokens {room} exceeds the model's "
            f"{positions} positions: lower max_tokens in the plan."
        )
    return said
