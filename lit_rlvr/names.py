"""The one table of metric names. The README's table is checked against it, and a name outside it cannot be logged.

The x-axis of every curve is the RL step, read as "how many RL steps of training the policy had had": rollouts of the base
model stand at 0, and so does its evaluation.
"""

from collections.abc import Iterable

METRICS: dict[str, str] = {
    "train/reward": "mean reward of the step's responses",
    "train/accuracy": "share of responses whose verdict is right, whatever the reward is",
    "train/boxed": "share of responses with a complete box",
    "train/loss": "the loss per token, all terms",
    "train/loss/policy": "the clipped policy loss per token, before its coefficient",
    "train/kl": "KL to the reference per token, by the chosen estimator",
    "train/approx_kl": "KL from the policy that made the rollouts, per token (k3); 0 with one update per rollout step",
    "train/entropy": "entropy of the sampling distribution per token, in nats",
    "train/clip_fraction": "share of tokens at which the clip bound is active",
    "train/mismatch/kl": "KL from the engine's distribution to the trainer's at the rollouts' tokens, per token (k3)",
    "train/mismatch/weight/mean": "mean weight that the mismatch correction gives a token's policy loss",
    "train/mismatch/weight/max": "largest weight before it is truncated or masked",
    "train/mismatch/clipped": "share of tokens whose weight is truncated or masked",
    "train/grad_norm": "gradient norm before clipping, mean over the step's updates",
    "train/skipped_updates": "optimizer steps skipped so far in the run, since something in them was not finite",
    "train/loss_scale": "scale of the loss under 16-mixed; it halves where a gradient overflows, and the update is computed again",
    "train/lr": "learning rate",
    "train/critic/loss": "the critic's loss per token, half the squared error",
    "train/critic/value": "mean value over tokens: the reward that the critic expects",
    "train/critic/explained_variance": "share of the returns' variance that the critic knew beforehand; 1 is all, 0 none",
    "train/critic/clip_fraction": "share of tokens at which the value's clip bound is active",
    "train/critic/grad_norm": "the critic's gradient norm before clipping, mean over the step's updates",
    "train/critic/lr": "the critic's learning rate",
    "train/advantage/mean": "mean advantage over responses",
    "train/advantage/std": "standard deviation of the advantage over responses",
    "train/advantage/max": "largest absolute advantage",
    "train/zero_variance": "share of responses in groups whose rewards are all equal (no policy gradient)",
    "train/saturated": "1 from the step on at which train/accuracy averaged over the tracking window first reached 99%, else 0",
    "train/accuracy/window": "train/accuracy averaged over the tracking window",
    "rollout/length/mean": "tokens per response",
    "rollout/length/max": "tokens of the longest response",
    "rollout/truncated": "share of responses cut at the token limit",
    "rollout/logprob_diff/mean": "mean absolute difference of engine and trainer log-probs over tokens",
    "rollout/logprob_diff/max": "largest of them",
    "rollout/tokens_per_second": "response tokens generated per second, all ranks together",
    "verdict/right": "share of responses by verdict: right",
    "verdict/wrong": "wrong",
    "verdict/no_answer": "no complete box",
    "verdict/unparsable": "a box that could not be read",
    "verdict/too_costly": "over the limits of the verifier",
    "verdict/crashed": "the verifier's worker died",
    "time/step": "seconds of the RL step",
    "time/rollout": "seconds generating",
    "time/verify": "seconds judging",
    "time/score": "seconds on old and reference log-probs",
    "time/forward": "seconds in forward passes of the update",
    "time/backward": "seconds in backward passes",
    "time/optimizer": "seconds clipping and stepping",
    "time/sync": "seconds handing the weights to the engine and checking that it has them",
    "memory/peak_gb": "peak memory in GB: of the GPU, or of the process on CPU",
    "eval/{benchmark}/avg@{k}": "accuracy over the benchmark's problems, k responses each",
    "eval/{benchmark}/avg@{k}/{rule}": "accuracy of the same responses by another rule of the evaluation's plan",
    "eval/{benchmark}/stderr@{k}": "its standard error over problems",
    "eval/{benchmark}/majority@{k}": "share of problems whose most frequent answer is right (ties count in part); for k > 1",
    "eval/{benchmark}/boxed@{k}": "share of responses with a complete box",
    "eval/{benchmark}/right_given_boxed@{k}": "share of right ones among the responses with a complete box",
    "eval/{benchmark}/right_outside_box@{k}": "share of responses without a complete box whose answer, read flexibly, is right",
    "eval/{benchmark}/reflection@{k}": "share of responses with the word rethink, recheck or recalculate in any form",
    "eval/{benchmark}/code@{k}": "share of responses that look like a program",
    "eval/{benchmark}/repetition@{k}": "share of responses that end in a loop",
    "eval/{benchmark}/truncated@{k}": "share of responses cut at the token limit",
    "eval/{benchmark}/length@{k}": "tokens per response",
    "eval/{benchmark}/seconds@{k}": "seconds the evaluation took",
}


def evaluation_metrics(benchmark: str, k: int, rules: Iterable[str] = ()) -> dict[str, str]:
    """The names of one benchmark's metrics: short key -> full name. A further rule's short key is ``rules/{rule}``."""
    prefix, ending = "eval/{benchmark}/", "@{k}"
    keys = [n.removeprefix(prefix).removesuffix(ending) for n in METRICS if n.startswith(prefix) and n.endswith(ending)]
    names = {
        "accuracy" if key == "avg" else key: f"eval/{benchmark}/{key}@{k}"
        for key in keys
        if k > 1 or key != "majority"  # one response outvotes nobody
    }
    return names | {f"rules/{rule}": f"{names['accuracy']}/{rule}" for rule in rules}


def check_names(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics themselves, if the table knows all of their names; a ``KeyError`` says which it does not."""
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise KeyError(f"metric names missing from lit_rlvr.names.METRICS: {unknown}")
    return metrics
