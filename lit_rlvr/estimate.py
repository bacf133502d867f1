"""How much memory a process needs at its peak, from shapes alone.

To: `plan.py`, and the table in the README. What is counted is what the code holds: see the comments.
"""

from dataclasses import dataclass, fields

from transformers import PretrainedConfig

from lit_rlvr.algorithms.logprobs import CHUNK_LOGITS

BYTES_TRAINED = 4 + 8
"""Per trained parameter between updates: float32 master weight, and AdamW's two float32 moments."""

BYTES_FROZEN = 4
"""Per frozen parameter: the float32 weight."""

PROCESS_BYTES = 0.45e9
"""What Python, PyTorch, transformers and lightning take on CPU before any model is there. On a GPU none of it counts."""


@dataclass(frozen=True)
class Shape:
    """What memory depends on of a model.

    Attributes:
        parameters: of the policy.
        layers: decoder layers.
        hidden: size of the residual stream.
        queries: heads times head size.
        keys: key heads times head size.
        intermediate: size of the feed-forward block.
        vocabulary: rows of the output embedding.
    """

    parameters: int
    layers: int
    hidden: int
    queries: int
    keys: int
    intermediate: int
    vocabulary: int

    @classmethod
    def of(cls, config: PretrainedConfig, parameters: int) -> "Shape":
        """The shape of a transformers configuration."""
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        key_heads = getattr(config, "num_key_value_heads", None) or heads
        intermediate = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        return cls(
            parameters,
            config.num_hidden_layers,
            config.hidden_size,
            heads * size,
            key_heads * size,
            intermediate,
            config.vocab_size,
        )


@dataclass(frozen=True)
class Run:
    """What memory depends on of a run; everything of one process.

    Attributes:
        responses: per RL step.
        tokens: the limit of a response, which all are taken to reach.
        prompt: tokens of the prompt that the responses share.
        micro_batch_tokens: the budget of a forward pass.
        half: forward passes in bfloat16 over float32 weights.
        engine_half: the engine's copy and cache in 16 bits.
        trained: parameters that are trained.
        frozen: other parameters that are held: a reference, or the base under an adapter.
        critic: parameters of a critic.
        shards: processes that weights, gradients and moments are divided between.
        checkpointing: activations are recomputed.
        engine_here: the engine keeps its copy in this process.
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
    shards: int = 1
    checkpointing: bool = False
    engine_here: bool = True
    on_cpu: bool = True


@dataclass(frozen=True)
class Memory:
    """Bytes of one process. Rollouts and updates take turns: the cache is gone when gradients and activations come.

    Attributes:
        process: before any model.
        weights: master weights, moments, and frozen models.
        engine: its copy of the weights.
        cache: the engine's keys and values.
        gradients: of all trained parameters.
        casts: bfloat16 copies of the weights that autocast keeps during an update.
        activations: what one micro-batch keeps for its backward pass.
        logits: a chunk of them with what is made of it, and the output embedding's gradient.
    """

    process: float
    weights: float
    engine: float
    cache: float
    gradients: float
    casts: float
    activations: float
    logits: float

    @property
    def peak(self) -> float:
        """The larger of the two phases, beside what is always held."""
        update = self.gradients + self.casts + self.activations + self.logits
        return self.process + self.weights + self.engine + max(self.cache, update)

    def parts(self) -> dict[str, float]:
        """Name -> bytes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def estimate(shape: Shape, run: Run) -> Memory:
    """What a process of the run holds."""
    trained = run.trained + run.critic
    width = 2 if run.engine_half else 4
    tokens = min(run.micro_batch_tokens, run.prompt + run.responses * run.tokens)
    # A recomputed layer keeps its input, and one layer at a time all the rest.
    kept = shape.layers * _layer_bytes(shape, run.half)
    if run.checkpointing:
        kept = shape.layers * 4 * shape.hidden + _layer_bytes(shape, run.half)
    chunk = min(CHUNK_LOGITS, tokens * shape.vocabulary)
    return Memory(
        process=PROCESS_BYTES if run.on_cpu else 0,
        weights=(trained * BYTES_TRAINED + run.frozen * BYTES_FROZEN) / run.shards,
        engine=shape.parameters * width if run.engine_here else 0,
        cache=(run.responses * run.tokens + run.prompt) * shape.layers * 2 * shape.keys * width
        if run.engine_here
        else 0,
        gradients=trained * 4 / run.shards,
        casts=(2 * shape.parameters if run.shards == 1 else 2 * shape.parameters / shape.layers) if run.half else 0,
        activations=tokens * kept * (2 if run.critic else 1),
        # In float32: log-probs, probabilities that become the gradient, and a copy in the precision of the products.
        logits=chunk * 4 * 3 + shape.vocabulary * shape.hidden * 4,
    )


def _layer_bytes(shape: Shape, half: bool) -> int:
    """Bytes that autograd keeps per token of a Llama-like layer.

    Each norm keeps its input and the normalised one, in float32 in any case. A product keeps its input: under autocast a
    cast of its own (three of q, k and v, two of gate and up). Attention keeps the rotated q and k, v, and its output, which the
    output projection keeps laid out anew; the feed-forward block gate, silu(gate), up and their product.
    """
    width = 2 if half else 4
    norms = 2 * 2 * 4 * shape.hidden
    inputs = 5 * 2 * shape.hidden if half else 2 * 4 * shape.hidden
    attention = width * (3 * shape.queries + 2 * shape.keys)
    return norms + inputs + attention + 4 * width * shape.intermediate
