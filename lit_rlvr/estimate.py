"""Estimate how much memory a process needs at its peak, from shapes alone.

To: `plan.py`, `remedies.py`, and the tables in the README. What is counted is what the code holds: see the comments. What a micro-batch takes
is held to what tensors without content take in the same code (`tests/test_estimate_counted.py`).
"""

from dataclasses import dataclass
from typing import Literal

from lit_rlvr.algorithms.logprobs import CHUNK_LOGITS
from lit_rlvr.models.shape import Shape
from lit_rlvr.rollout.cache_room import drawing_bytes, rows_at_once, share_out

PROCESS_BYTES = 0.45e9
"""Held by Python, PyTorch, transformers and lightning on CPU before any model is there (measured). On a GPU none of it counts."""

CUDA_BYTES = 1.5e9
"""Held by a process on a GPU besides its tensors: about 0.5 GB of context and kernels, workspaces of cuBLAS and NCCL, and what
the allocator keeps in pieces too small to use. A guess; nobody has measured it for this package."""

ASLEEP_BYTES = 1.0e9
"""Kept by a vLLM engine that sleeps: captured graphs and workspaces, which it does not give back. A guess, likewise."""

Engine = Literal["transformers", "vllm", "elsewhere"]


@dataclass(frozen=True)
class Run:
    """What memory depends on of a run; everything of one process.

    Attributes:
        responses: per RL step.
        tokens: the limit of a response, which all are taken to reach.
        prompt: tokens of the prompt that the responses share.
        micro_batch_tokens: the budget of a forward pass.
        half: forward passes in 16 bits over float32 weights.
        engine_half: the engine's copy and cache in 16 bits.
        trained: parameters that are trained.
        frozen: other parameters that are held: a reference, or the base under an adapter.
        critic: parameters of a critic.
        adapter: only adapters of the policy are trained.
        processes: of the run.
        shards: processes that weights, gradients and moments are divided between.
        held_gradients: bytes per trained parameter that stay between updates, as DDP's buckets do.
        gradients: bytes per trained parameter during an update.
        moments: bytes of optimizer state per trained parameter.
        step_bytes: bytes per trained parameter that an optimizer step takes for itself.
        checkpointing: activations are recomputed.
        engine: ``transformers`` and ``vllm`` keep a copy of the weights in this process, others do not.
        max_batch: responses that the engine decodes at once.
        utilization: vLLM's share of the card.
        sleep: vLLM gives its share back during updates.
        sharing: processes that share a vLLM engine.
        engine_bytes: of vLLM's cache, where it is no share of a card.
        card: bytes of the GPU, or None where its size plays no part.
        on_cpu: the process itself counts.
    """

    responses: int
    tokens: int
    prompt: int
    micro_batch_tokens: int
    half: bool
    engine_half: bool
    trained: int
    frozen: int = 0
    critic: int = 0
    adapter: bool = False
    processes: int = 1
    shards: int = 1
    held_gradients: float = 0
    gradients: float = 4
    moments: float = 8
    step_bytes: float = 0
    checkpointing: bool = False
    engine: Engine = "transformers"
    max_batch: int = 1024
    utilization: float = 0.4
    sleep: bool = False
    sharing: int = 1
    engine_bytes: float = 0
    card: float | None = None
    on_cpu: bool = True

    @property
    def engine_width(self) -> int:
        """Bytes of a number in the engine."""
        return 2 if self.engine_half else 4


SPARE = 0.1
"""Share of a card that a plan leaves free: by so much an estimate may be wrong."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one process, by phase of an RL step and by part. Rollouts and updates take turns.

    Attributes:
        phases: ``rollout``, ``update`` and ``optimizer step`` -> name of a part -> bytes.
        at_once: responses that the engine has room to decode at once.
    """

    phases: dict[str, dict[str, float]]
    at_once: int

    @property
    def fullest(self) -> str:
        """Name of the phase that takes most."""
        return max(self.phases, key=self.of_phase)

    @property
    def peak(self) -> float:
        """Bytes of that phase."""
        return self.of_phase(self.fullest)

    @property
    def parts(self) -> dict[str, float]:
        """Its parts."""
        return self.phases[self.fullest]

    def of_phase(self, name: str) -> float:
        """Bytes of a phase."""
        return sum(self.phases[name].values())

    def over(self, card: float) -> float:
        """Bytes by which the peak exceeds what may be used of a card; negative where there is room."""
        return self.peak - (1 - SPARE) * card


def estimate(shape: Shape, run: Run) -> Memory:
    """Estimate what a process of the run holds."""
    trained = run.trained + run.critic
    always = {
        "process": PROCESS_BYTES if run.on_cpu else CUDA_BYTES,
        "weights": 4 * trained / run.shards,
        "moments": run.moments * trained / run.shards,
        "frozen": 4 * run.frozen / run.shards,
    }
    gradients = {"gradients": run.gradients * trained / run.shards}
    waiting = always | {"gradients": run.held_gradients * trained / run.shards}
    engine, cache, at_once = _engine(shape, run, sum(waiting.values()))
    asleep = {"engine": engine}
    if run.engine == "vllm":
        asleep = {"engine": ASLEEP_BYTES if run.sleep and not run.on_cpu else engine + cache}
    phases = {
        "rollout": waiting | {"engine": engine, "cache": cache},
        "update": always | gradients | asleep | micro_batch(shape, run),
        "optimizer step": always | gradients | asleep | {"temporary": run.step_bytes * trained / run.shards},
    }
    return Memory(phases, at_once)


def _engine(shape: Shape, run: Run, others: float) -> tuple[float, float, int]:
    """Bytes of the engine's weights and of its cache during a rollout, and how many responses have room in it.

    Args:
        shape: of the policy.
        run: of this process.
        others: bytes that are held besides.
    """
    together = min(run.responses, run.max_batch)
    token = shape.layers * 2 * shape.keys * run.engine_width
    if run.engine == "elsewhere":
        return 0, 0, together
    weights = shape.parameters * run.engine_width / run.sharing
    prompt = run.prompt * token
    if run.engine == "vllm":
        # Its share is of the whole card, weights and working space within.
        room = run.engine_bytes if run.card is None else run.utilization * run.card - weights
        fit = int((room - CUDA_BYTES - prompt) * run.sharing / (run.tokens * token))
        return weights, max(0, room), max(0, min(together, fit))
    rows = together
    if run.card is not None:  # as the engine does it, with what is free when it begins
        free = (1 - SPARE) * run.card - others - weights
        rows, tokens = share_out(max(0, int(free)), together, shape.vocabulary, token)
        together = rows_at_once(tokens, rows, run.tokens, run.prompt)
    return weights, drawing_bytes(rows, shape.vocabulary) + prompt + together * run.tokens * token, together


def micro_batch(shape: Shape, run: Run) -> dict[str, float]:
    """Bytes that the forward and backward pass of a micro-batch takes besides weights and gradients, by part."""
    tokens = min(run.micro_batch_tokens, run.prompt + run.responses * run.tokens)
    models = 2 if run.critic else 1
    width = 2 if run.half else 4
    residual = 4 * shape.hidden * tokens
    layer = layer_bytes(shape, run, tokens)
    # A recomputed layer keeps its input, and one layer at a time all the rest.
    kept = models * shape.layers * (residual if run.checkpointing else layer)
    # The backward pass of a layer has two gradients of the feed-forward block's size (peft's are in float32, too), and that of
    # the residual stream.
    wide = width + (2 if run.adapter and run.half else 0)
    one = (layer - residual if run.checkpointing else 0) + 2 * wide * shape.intermediate * tokens + residual
    return {
        "activations": kept + one,
        "output layer": _output_layer(shape, run, tokens, kept, one),
        **_weights_in_use(shape, run, models),
    }


def _output_layer(shape: Shape, run: Run, tokens: int, kept: float, one: float) -> float:
    """Bytes that the last norm and the embeddings add to what the layers take at the fullest moment.

    Args:
        shape: of the policy.
        run: of this process.
        tokens: of the micro-batch.
        kept: bytes that layers keep from the forward to the backward pass.
        one: bytes that the backward pass of one layer takes besides; the output layer's own comes before.
    """
    width = 2 if run.half else 4
    states = shape.hidden * tokens
    cast = 2 * shape.embedding if run.half else 0
    # The norm's input and the normalised one, the embedding's cast, hidden states and their gradient.
    there = (2 * 4 + width) * states + cast
    # A chunk: log-probabilities and what becomes their gradient in float32, and that in the precision of the products.
    chunk = min(CHUNK_LOGITS, tokens * shape.vocabulary) * (2 * 4 + width)
    # The embedding's gradient with what is added to it, and later with and without rows for padding.
    own = there + width * states + chunk + (0 if run.adapter else 2 * 4 * shape.embedding)
    if run.critic:  # its backward pass comes first, and what the policy keeps is all still there
        return max(there, own - one - kept / 2)
    if run.adapter:
        return max(0, own - one)
    # A gradient waits for the other embedding's, which comes behind the first layer: where both are one, or are sent together.
    waiting = 4 * shape.embedding if shape.tied or run.shards > 1 else 0
    sent = (
        2 * 4 * shape.outside if run.shards > 1 else 0
    )  # at the very end, both gradients and the message they leave in
    return max(waiting, own - one, sent - kept - one)


def _weights_in_use(shape: Shape, run: Run, models: int) -> dict[str, float]:
    """Bytes of the copies of weights that layers compute with: autocast's casts, or what FSDP2 gathers."""
    if run.shards > 1:
        # One layer in use with its gradient, the message that the next one comes in, and, in float32, that which the gradient of
        # the one before leaves in. Embeddings stay gathered from the first layer to the last.
        width = 2 if run.half else 4
        root = 4 * (shape.outside + (shape.embedding if run.critic else 0))
        return {"gathered": (3 * width + 4) * shape.layer + root}
    if not run.half:
        return {}
    # Casts of trained weights stay for all micro-batches; those of frozen ones as long as a backward pass needs them.
    copies = 1 if run.adapter and run.checkpointing else shape.layers
    return {"casts": 2 * shape.layer * (copies + (models - 1) * shape.layers)}


def layer_bytes(shape: Shape, run: Run, tokens: int) -> float:
    """Bytes that autograd keeps of a Llama-like layer for a micro-batch of so many tokens.

    Each norm keeps its input and, if its weight is trained, the normalised one, in float32 in any case. A product keeps its
    input: under autocast a cast of its own (three of q, k and v, two of gate and up). Attention keeps the rotated q, k and v as
    they were computed (the prompt's part is a view of them) and as they are laid out, a row a sequence; its output, twice, for
    the output projection has it laid out anew. The feed-forward block keeps gate, silu(gate), up and their product.
    """
    width = 2 if run.half else 4
    norms = 2 * (1 if run.adapter else 2) * 4 * shape.hidden
    inputs = 5 * 2 * shape.hidden if run.half else 2 * 4 * shape.hidden
    attention: float = width * (4 * shape.queries + 2 * shape.keys)
    behind = (run.prompt + run.tokens) / run.tokens  # each sequence's keys stand behind a copy of the prompt's
    mask = 0.0
    if run.half and run.on_cpu:  # blocks of matrix products, which repeat nothing
        attention += width * 2 * shape.keys
    else:
        attention += width * 2 * shape.queries * behind  # with a mask, keys and values are repeated for each head
        mask = width * run.tokens * (run.prompt + run.tokens)
    return tokens * (norms + inputs + attention + 4 * width * shape.intermediate) + mask
