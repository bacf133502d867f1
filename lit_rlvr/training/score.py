"""Stage 5, log-probs: what the policy, the reference and the critic say of every response token, before any update.

From: an `Experience` with rewards. To: the same with old and reference log-probs and values, for `algorithms/`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.algorithms.packing import MicroBatch, lay_out, micro_batches
from lit_rlvr.algorithms.subsets import kept_weights
from lit_rlvr.experience import Experience, Rollouts
from lit_rlvr.models.body import Body
from lit_rlvr.models.critic import Critic
from lit_rlvr.models.lora import WithoutAdapter
from lit_rlvr.models.policy import Policy
from lit_rlvr.training.parallel import Parallel


@dataclass(frozen=True)
class Scorers:
    """Who is asked.

    Attributes:
        policy: as it made the rollouts.
        reference: the frozen model of the KL term, or None.
        critic: or None.
    """

    policy: Policy
    reference: Policy | WithoutAdapter | None = None
    critic: Critic | None = None


def scored(
    experience: Experience,
    scorers: Scorers,
    algorithm: Algorithm,
    optimizer_steps: int,
    temperature: float,
    budget: int,
    parallel: Parallel,
    seed: int,
) -> Experience:
    """Old log-probs where they outlive the first update, reference log-probs and values where they are asked for.

    Args:
        experience: rollouts with rewards.
        scorers: the models.
        algorithm: says what it needs, and of which share of the responses it needs the reference.
        optimizer_steps: that will be taken on the experience.
        temperature: the rollouts were drawn at.
        budget: tokens per micro-batch.
        parallel: the processes this runs in.
        seed: of the draw of that share.
    """
    rollouts = experience.rollouts
    everything = list(range(len(rollouts)))

    def logprobs(model: Policy | WithoutAdapter, chosen: list[int]) -> Tensor:
        return score(lambda batch: model(batch, temperature)[0], model, rollouts, chosen, budget, parallel)

    if optimizer_steps > 1 or algorithm.needs_old_logprobs:
        experience = replace(experience, old_logprobs=logprobs(scorers.policy, everything))
    if scorers.reference is not None:
        weights = kept_weights(torch.ones(len(rollouts), dtype=torch.bool), algorithm.kl_share, seed)
        asked = weights.nonzero()[:, 0].tolist()
        experience = replace(
            experience,
            reference_logprobs=logprobs(scorers.reference, asked),
            reference_weights=None if len(asked) == len(rollouts) else rollouts.spread(weights),
        )
    if scorers.critic is not None:
        values = score(scorers.critic, scorers.critic, rollouts, everything, budget, parallel)
        experience = replace(experience, values=values)
    return experience


@torch.no_grad()
def score(
    forward: Callable[[MicroBatch], Tensor],
    model: Body | WithoutAdapter,
    rollouts: Rollouts,
    chosen: list[int],
    budget: int,
    parallel: Parallel,
) -> Tensor:
    """Ask a model about every token of the chosen responses.

    Args:
        forward: micro-batch -> [T] of its tokens.
        model: whose forward pass that is. Where it is sharded it is left so: FSDP2 keeps its last part gathered otherwise.
        rollouts: the responses.
        chosen: indices of those that it is asked about, at least one.
        budget: tokens per micro-batch.
        parallel: the processes this runs in.

    Returns:
        [T] float32 on CPU; 0 for tokens of other responses.
    """
    out = torch.zeros(len(rollouts.tokens))
    for part, live in parallel.padded(micro_batches(rollouts, chosen, budget, model.packs)):
        batch = lay_out(rollouts, part, model.packs)
        said = forward(batch.to(parallel.device))
        if live:
            out[batch.tokens] = said.float().cpu()
    model.reshard()
    return out
