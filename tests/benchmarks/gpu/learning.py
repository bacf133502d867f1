"""Build what parts 4, 6 and 8 compute with. Every call into the package's training code that they make stands here.

From: a `Size`. To: random models on the device, made-up experiences, one update, the package's own estimate of its memory.
"""

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.estimate import Run, estimate
from lit_rlvr.experience import Experience, Rollouts
from lit_rlvr.models.policy import Policy
from lit_rlvr.models.shape import Shape
from lit_rlvr.planned_run import state_bytes
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.training.optimizers import adamw
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.score import score
from lit_rlvr.training.update import Learners, UpdateConfig, UpdateSums, update
from tests.builders import rollouts_of

TEMPERATURE = 0.6
"""The paper's."""


def random_model(
    config: PretrainedConfig, device: torch.device, dtype: torch.dtype = torch.float32, seed: int = 0
) -> PreTrainedModel:
    """A model with random weights, drawn on the device: a CPU would take a quarter of a minute for 1.5B of them."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.device(device):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def random_rollouts(prompt: int, lengths: list[int], vocabulary: int) -> Rollouts:
    """Responses of random tokens to one random prompt."""
    generator = torch.Generator().manual_seed(0)

    def words(count: int) -> list[int]:
        return torch.randint(5, vocabulary, (count,), generator=generator).tolist()

    return rollouts_of([tuple(words(prompt))], [words(length) for length in lengths], n=len(lengths))


def experience_of(rollouts: Rollouts) -> Experience:
    """Rollouts with advantages of 1 and -1, and a reference to hold on to."""
    signs = torch.where(torch.arange(len(rollouts)) % 2 == 0, 1.0, -1.0)
    reference = torch.full((len(rollouts.tokens),), -10.0)
    return Experience(rollouts, (), signs.clamp(min=0), advantages=rollouts.spread(signs), reference_logprobs=reference)


def parallel_of(device: torch.device) -> Parallel:
    """One process on one device."""
    return Parallel(SingleDeviceStrategy(device=device), device)


def one_update(
    policy: Policy, optimizer: torch.optim.Optimizer, experience: Experience, budget: int, longest: int
) -> UpdateSums:
    """One optimizer step of the paper's recipe on an experience, in bfloat16 over float32 weights."""
    device = next(policy.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        return update(
            Learners(policy, optimizer),
            GRPO(kl_coefficient=0.001, entropy_coefficient=0.001),
            experience,
            Sampling(n=8, temperature=TEMPERATURE, max_tokens=longest),
            UpdateConfig(micro_batch_tokens=budget, aggregation="paper"),
            parallel_of(device),
            lambda loss: loss.backward(),
        )


def optimizer_of(policy: Policy) -> torch.optim.Optimizer:
    """The package's own, over all parameters."""
    return adamw(policy.parameters())


def scores(policy: Policy, rollouts: Rollouts, half: bool) -> Tensor:
    """[T] log-probs of the trainer's forward pass, in bfloat16 over float32 weights or in float32."""
    device = next(policy.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        return score(
            lambda batch: policy(batch, TEMPERATURE)[0],
            policy,
            rollouts,
            list(range(len(rollouts))),
            24_000,
            parallel_of(device),
        )


def estimated(
    config: PretrainedConfig, parameters: int, prompt: int, responses: int, length: int, checkpointing: bool
) -> float:
    """Bytes of tensors at the peak, as `lit-rlvr plan` counts them of a trained policy alone and one micro-batch of all responses."""
    on_gpu = torch.cuda.is_available()
    moments, step = state_bytes(adamw, on_gpu)
    run = Run(
        responses=responses,
        tokens=length,
        prompt=prompt,
        micro_batch_tokens=prompt + responses * length,
        half=True,
        engine_half=True,
        trained=parameters,
        moments=moments,
        step_bytes=step,
        checkpointing=checkpointing,
        engine="elsewhere",
        on_cpu=not on_gpu,
    )
    memory = estimate(Shape.of(config, parameters), run)
    return memory.peak - memory.parts["process"]
