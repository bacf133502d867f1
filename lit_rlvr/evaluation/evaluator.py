"""The evaluator: benchmark problems -> responses of the current policy -> verdicts -> an EvaluationResult.

Last stage of the line. It runs inside training and alone, with the engine, prompts and verifier of training.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from lit_rlvr.data.prompts import encode
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.evaluation.responses import Response, from_rollouts
from lit_rlvr.evaluation.result import EvaluationResult, EvaluationSample
from lit_rlvr.evaluation.tally import Tally, VerifiesMany
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.verdict import Verdict
from lit_rlvr.rollout.engine import Progress, RolloutEngine, Sampling
from lit_rlvr.seeding import step_seed
from lit_rlvr.training.interrupt import at_once, together

__all__ = ["EvaluationPlan", "EvaluationResult", "EvaluationSample", "evaluate"]

SAMPLED_CHUNK = 256
"""Responses per engine call when sampling. Fixed, for the draws of a response hang on its place in its call; large enough
to keep an engine busy, small enough that ranks share the small competitions' 240 and 320 responses."""


class Keeper(Protocol):
    """Where responses are kept while they are made, so that an evaluation that was stopped can go on."""

    def recall(self, indices: Sequence[int]) -> list[Response] | None:
        """All responses to these problems, in the order that an engine gives them; None if one is missing."""

    def keep(self, responses: list[Response], verdicts: Sequence[Verdict]) -> None:
        """Keep the responses of an engine call, with what was said of them."""


def evaluate(
    plan: EvaluationPlan,
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    verifier: VerifiesMany,
    seed: int,
    rl_step: int,
    rank: int = 0,
    world_size: int = 1,
    progress: Progress | None = None,
    batch_responses: int = 512,
    keeper: Keeper | None = None,
) -> EvaluationResult:
    """Evaluate the policy that is in the engine. With several ranks, every one calls it, and gets the whole result.

    Draws depend on (seed, benchmark, place of the problem in the evaluation, sample) and on nothing else: not on the RL
    step, so that two steps are compared with common random numbers, and not on how the work is split. Engines draw by a
    response's place in its call; sampled problems are therefore asked in chunks whose bounds are fixed, each with a seed
    of its own, and ranks take whole chunks in turn. Greedy decoding draws nothing, so there each rank takes every
    ``world_size``-th problem.

    Args:
        plan: what to evaluate.
        engine: holds the weights.
        tokenizer: the policy's.
        verifier: the one that training uses. Its own rule plays no part: the main figure is the exact rule's on the last
            box, and ``plan.rules`` says by what the same responses are scored besides.
        seed: the run's.
        rl_step: for the record.
        rank: of this process.
        world_size: number of processes.
        progress: called with (responses done, responses asked) of this rank.
        batch_responses: responses per engine call when decoding greedily.
        keeper: gives back the responses of engine calls made before, and gets those of new ones.

    Raises:
        UserError: from reading the benchmark or from the template.
    """
    problems, sampling = plan.problems(), plan.sampling
    chunks = list(_chunks(len(problems), sampling, rank, world_size, batch_responses))
    asked = sum(len(indices) for _, indices in chunks) * sampling.n
    tally = Tally(plan, problems, verifier)
    done = 0
    with together(world_size):
        for chunk, indices in chunks:

            def report(finished: int, _: int, before: int = done) -> None:
                if progress is not None:
                    progress(before + finished, asked)

            responses = keeper.recall(indices) if keeper is not None else None
            # rl_step is left out of the seed on purpose: see above.
            draws = step_seed(seed, chunk, stream=f"evaluation/{plan.benchmark}")
            if responses is not None:
                tally.add(responses)
                engine.generate([], sampling, draws)  # so that all ranks call it equally often
            else:
                prompts = prompts_of(plan, [problems[i] for i in indices], tokenizer)
                with at_once():
                    rollouts = engine.generate(prompts, sampling, draws, report)
                responses = from_rollouts(rollouts, indices)
                verdicts = tally.add(responses)
                if keeper is not None:
                    keeper.keep(responses, verdicts)
            done += len(responses)
    part = tally.result(rl_step)
    return part.gather() if world_size > 1 else part


def prompts_of(
    plan: EvaluationPlan, problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[int, ...]]:
    """What the policy is asked: token ids for each problem."""
    template = plan.settled()["template"]
    return [encode(template, problem.question, tokenizer, plan.examples) for problem in problems]


def _chunks(
    problems: int, sampling: Sampling, rank: int, world_size: int, batch_responses: int
) -> Iterator[tuple[int, list[int]]]:
    """The engine calls of a rank, as many as every other's: (number of the chunk, indices of its problems, perhaps none)."""
    if sampling.temperature == 0:
        mine, size = list(range(rank, problems, world_size)), max(1, batch_responses // sampling.n)
        for chunk in range(-(-problems // (size * world_size))):
            yield chunk, mine[chunk * size : (chunk + 1) * size]
    else:
        size = max(1, SAMPLED_CHUNK // sampling.n)
        for chunk in range(rank, rank + -(-problems // size), world_size):
            yield chunk, list(range(chunk * size, min((chunk + 1) * size, problems)))
