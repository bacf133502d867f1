"""The pass-rate screen: problems -> responses of a policy -> verdicts -> the share of right ones, for each problem.

With the engine, prompts and verifier of training. What has been measured is kept after every chunk of problems, so an
interrupted screen goes on where it stopped and ends with the file of an uninterrupted one.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from lit_rlvr.data.prompts import encode, get_template
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.files import write_json
from lit_rlvr.models.any_policy import load_policy
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.rollout.engine import RolloutEngine, Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.seeding import step_seed

CHUNK = 32
"""Problems per engine call. Fixed, for the draws of a response hang on its place in its call; at 8 samples enough
responses to keep an engine busy, and little to lose when interrupted."""


@dataclass(frozen=True)
class Screen:
    """How pass rates are measured.

    Attributes:
        policy: transformers folder, hub id or checkpoint.
        samples: responses per problem.
        temperature: of sampling.
        max_tokens: response limit in tokens.
        template: prompt template.
        seed: of all draws.
    """

    policy: str
    samples: int = 8
    temperature: float = 1.0
    max_tokens: int = 3072
    template: str = "chat-plain"
    seed: int = 0

    def __post_init__(self) -> None:
        get_template(self.template)
        if self.samples < 2:
            raise UserError(f"--samples is {self.samples}; a rate between never and always takes at least 2 responses.")
        if not self.temperature > 0:
            raise UserError(
                f"--temperature is {self.temperature}; greedy responses would all be the same, use more than 0."
            )
        if self.max_tokens < 1:
            raise UserError(f"--max_tokens is {self.max_tokens}; a response has at least one token.")

    @property
    def sampling(self) -> Sampling:
        """How the engine is to draw."""
        return Sampling(
            self.samples, self.temperature, max_tokens=self.max_tokens, stop=get_template(self.template).stop
        )


def open_policy(policy: str) -> tuple[RolloutEngine, PreTrainedTokenizerBase]:
    """The engine with the policy's weights, on the GPU if there is one."""
    loaded = load_policy(policy)
    engine = TransformersEngine()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    engine.setup(loaded.model, loaded.tokenizer, device)
    return engine, loaded.tokenizer


def measure(
    screen: Screen,
    problems: Sequence[Problem],
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    verifier: Verifier,
    file: Path,
    report: Callable[[int], None],
) -> dict[str, float]:
    """Pass rate of each problem, written to ``file`` as a history with one entry each.

    Until all are measured they are in ``file`` with ``.part`` after its name, from where the next call goes on.

    Args:
        screen: how to measure.
        problems: in a fixed order: draws depend on the seed and on a problem's place.
        engine, tokenizer: of the policy.
        verifier: judges, as in training.
        file: where the rates go.
        report: called with the number of problems measured, after every chunk.

    Raises:
        UserError: the part that is there was measured otherwise, or nothing can be written there.
    """
    part = progress_file(file)
    begun = asdict(screen) | {"problems": _digest(problems)}
    rates = _resume(part, begun)
    for start in range(0, len(problems), CHUNK):
        chunk = problems[start : start + CHUNK]
        if all(problem.id in rates for problem in chunk):
            continue
        prompts = [encode(screen.template, problem.question, tokenizer) for problem in chunk]
        seed = step_seed(screen.seed, start // CHUNK, stream="pass-rate")
        rollouts = engine.generate(prompts, screen.sampling, seed)
        rows = rollouts.rows.tolist()
        verdicts = verifier.verify_many([(t, chunk[row].answer) for t, row in zip(rollouts.texts, rows, strict=True)])
        right = [0] * len(chunk)
        for row, verdict in zip(rows, verdicts, strict=True):
            right[row] += verdict.right
        rates |= {problem.id: count / screen.samples for problem, count in zip(chunk, right, strict=True)}
        _write(part, {"settings": begun, "rates": rates})
        report(len(rates))
    _write(file, {problem.id: [rates[problem.id]] for problem in problems})
    part.unlink(missing_ok=True)
    return rates


def progress_file(file: Path) -> Path:
    """Where the rates are until all are measured."""
    return file.with_name(file.name + ".part")


def _write(file: Path, content: Any) -> None:
    try:
        write_json(file, content)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; make room, or name another --rates.") from error


def _digest(problems: Sequence[Problem]) -> str:
    """By which another set of problems, or another order, is known from this one."""
    content = json.dumps([(problem.id, problem.question, problem.answer) for problem in problems])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _resume(part: Path, begun: dict[str, Any]) -> dict[str, float]:
    if not part.exists():
        return {}
    try:
        content = json.loads(part.read_text("utf-8"))
        before = dict(content["settings"])
        rates = {str(problem): float(rate) for problem, rate in content["rates"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{part} should hold the rates measured so far and cannot be read; remove it to begin anew."
        ) from error
    for key, value in begun.items():
        if before.get(key) != value:
            what = "of other problems" if key == "problems" else f"with --{key} {before.get(key)}, not {value}"
            raise UserError(f"{part} was begun {what}: give the same again, remove it, or name another --rates.")
    return rates
