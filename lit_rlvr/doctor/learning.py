"""Does training do what it is for? From: the policy in its trainer. To: a sentence, or `UnfitError`.

One update by the run's own code on responses that are made by hand, and the policy exported and loaded again.
"""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from lit_rlvr.doctor.answers import boxed, written, wrong_for
from lit_rlvr.doctor.outcome import UnfitError
from lit_rlvr.experience import Experience, Problem, PromptBatch, Rollouts
from lit_rlvr.models.export import export_policy
from lit_rlvr.models.loading import load_model, load_tokenizer
from lit_rlvr.models.policy import Policy, frozen
from lit_rlvr.models.weights import merged, policy_weights
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.score import score
from lit_rlvr.training.tripwire import COARSE_LIMIT, EXACT_LIMIT, worst_difference

KINDS = (Kind.RIGHT, Kind.WRONG, Kind.NO_ANSWER, Kind.NO_ANSWER)

ROUNDING = 1e-6
"""Of a sum of float32 log-probs, relative: a rise must be more than this."""


def made_batch(module: RLVRModule, problem: Problem, prompt: tuple[int, ...]) -> Rollouts:
    """For each mini-batch a group of four: right, wrong, without a box, and empty; scored by the policy."""
    texts = [boxed(problem.answer), boxed(wrong_for(problem.answer)), problem.answer, ""]
    groups = module.update_config.updates_per_rollout
    rollouts = written([prompt] * groups, texts * groups, module.tokenizer)
    return replace(
        rollouts, logprobs=exact_logprobs(module.policy, rollouts, module.sampling.temperature, module.parallel)
    )


def exact_logprobs(policy: Policy, rollouts: Rollouts, temperature: float, parallel: Parallel) -> Tensor:
    """Compute log-probs [T] of the response tokens, in float32 where weights are whole: an update is less than 16 bits show."""
    training = policy.training
    policy.eval()
    # FSDP2 may gather the weights in bfloat16, and then it takes autocast to multiply with them.
    with nullcontext() if parallel.sharded else torch.autocast(parallel.device.type, enabled=False):
        everything = list(range(len(rollouts)))
        budget = sum(map(len, rollouts.prompts)) + len(rollouts.tokens)
        said = score(lambda batch: policy(batch, temperature)[0], policy, rollouts, everything, budget, parallel)
    policy.train(training)
    return said


def check_update(module: RLVRModule, problem: Problem, rollouts: Rollouts) -> str:
    """One update, as after a rollout, makes the right response more likely. The policy stays updated.

    Args:
        module: in a training step.
        problem: what the rollouts answer.
        rollouts: made by :func:`made_batch`.
    """
    groups = len(rollouts) // len(KINDS)
    batch = PromptBatch((problem,) * groups, rollouts.prompts)
    module.rl_step.fill_(module.algorithm.critic_warmup)  # from where on the policy learns
    experience = Experience(
        rollouts,
        tuple(map(Verdict, KINDS * groups)),
        torch.tensor([float(kind is Kind.RIGHT) for kind in KINDS * groups]),
    )
    experience = module.algorithm.advantages(module.score(experience), module.parallel.reduce)
    sums = module.update(batch, experience)
    after = exact_logprobs(module.policy, rollouts, module.sampling.temperature, module.parallel)
    (old, *_), (new, *_) = (
        [one.double().sum().item() for one in rollouts.split(flat)] for flat in (rollouts.logprobs, after)
    )
    rate = ", ".join(f"{group['lr']:g}" for group in module.trainer.optimizers[0].param_groups)
    how = f"the log-prob of the right answer goes from {old:.6g} to {new:.6g} (learning rate {rate}, gradient norm {sums.grad_norm:.3g})"
    if not new - old > ROUNDING * max(1.0, abs(old)):
        raise UnfitError(
            f"after one update {how}, and should have risen: check model.optimizer (a learning rate above 0 that is not too "
            "large, and no maximize) and model.algorithm."
        )
    return f"one update by {type(module.algorithm).__name__} on responses made by hand: {how}."


def check_export(module: RLVRModule, rollouts: Rollouts) -> str:
    """The exported policy says of the same responses what the trainer's says."""
    temperature, parallel = module.sampling.temperature, module.parallel
    expected = exact_logprobs(module.policy, rollouts, temperature, parallel)
    state = module.trainer.strategy.lightning_module_state_dict()
    if not module.trainer.is_global_zero:
        return "rank 0 does this."
    with TemporaryDirectory(prefix="lit-rlvr-doctor-") as temporary:
        folder, model = Path(temporary) / "policy", module.policy.model
        weights = dict(merged(model, policy_weights(state)))
        export_policy(weights, model.config, model.generation_config, module.tokenizer, folder)
        tokenizer = load_tokenizer(str(folder))
        again = frozen(Policy(load_model(str(folder), tokenizer), len(tokenizer)))
        size = sum(file.stat().st_size for file in folder.iterdir())
    cpu = torch.device("cpu")
    alone = Parallel(SingleDeviceStrategy(cpu), cpu)
    said = exact_logprobs(again, replace(rollouts, logprobs=expected), temperature, alone)
    mean, largest = worst_difference(replace(rollouts, logprobs=expected), said, alone)
    coarse = (parallel.sharded and "bf16" in str(module.trainer.precision)) or (
        torch.get_float32_matmul_precision() != "highest"
    )
    difference = f"its log-probs differ from the trainer's by {mean:.2g} in the mean and {largest:.2g} at most"
    if not mean <= (COARSE_LIMIT if coarse else EXACT_LIMIT):
        raise UnfitError(
            f"the policy that was exported and loaded again is another one, {difference}: what a run leaves in policy/ could not "
            "be trusted. Upgrade transformers, or report this architecture."
        )
    return f"exported ({size / 1e6:,.1f} MB, removed again) and loaded: {difference}."
