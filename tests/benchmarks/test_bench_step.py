"""The step benchmark's parts that decide what both sides compute: lengths, the prompt, and what is refused."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LogitsProcessorList

from lit_rlvr.rollout.engine import Sampling
from tests.benchmarks.bench_step import options, works_of
from tests.benchmarks.step.forced import RULED_OUT, ForcedEngine, ForcedProcessor, force
from tests.benchmarks.step.models import write_random
from tests.benchmarks.step.works import WORKS, Task, lengths_of, prompt_of
from tests.builders import random_model

LENGTHS, LIMIT = [8, 3, 8, 2, 5, 3, 8, 8, 4], 8


class BareTokenizer:
    """What the engine needs of a tokenizer when there is no text to look at."""

    eos_token_id = 1

    def __len__(self) -> int:
        return 48

    def get_added_vocab(self) -> dict[str, int]:
        """None."""
        return {}

    def decode(self, tokens: list[int], **_: object) -> str:
        """Ids as text."""
        return " ".join(map(str, tokens))


def test_force_rules_ends_out_before_their_time_and_all_else_at_it() -> None:
    logits = force(torch.ones(3, 4), torch.tensor([2, 3, 2]), 2, ends=[1, 3], limit=3)
    end = [RULED_OUT, 0.0, RULED_OUT, RULED_OUT]
    assert logits.tolist() == [end, [1.0, RULED_OUT, 1.0, RULED_OUT], end]
    at_the_limit = force(torch.ones(1, 4), torch.tensor([3]), 3, ends=[1], limit=3)
    assert at_the_limit.tolist() == [[1.0, RULED_OUT, 1.0, 1.0]]


def test_both_sides_draw_responses_of_the_wanted_lengths() -> None:
    policy = random_model().eval()
    for at_once in (len(LENGTHS), 4):  # in one batch, and in several
        engine = ForcedEngine(LENGTHS, max_batch=at_once)
        engine.setup(policy, BareTokenizer(), torch.device("cpu"))
        ours = engine.generate([(7, 8, 9)], Sampling(n=len(LENGTHS), max_tokens=LIMIT), seed=0)
        assert ours.lengths.tolist() == LENGTHS
        assert ours.stopped.tolist() == [length < LIMIT for length in LENGTHS]
    # The tripwire's probe: other rows, which no wanted length belongs to.
    assert engine.generate([(7, 8, 9)], Sampling(n=8, max_tokens=4), seed=0).lengths.tolist() == [4] * 8

    processor = ForcedProcessor(LENGTHS, prompt=3, ends=[1], limit=LIMIT)
    theirs = policy.generate(
        torch.tensor([[7, 8, 9]] * len(LENGTHS)),
        do_sample=True,
        max_new_tokens=LIMIT,
        pad_token_id=0,
        logits_processor=LogitsProcessorList([processor]),
    )[:, 3:]
    ended = theirs == 1
    assert torch.where(ended.any(1), ended.int().argmax(1) + 1, LIMIT).tolist() == LENGTHS
    assert (ended.sum(1) == torch.tensor([length < LIMIT for length in LENGTHS])).all()


def test_a_third_ends_early_and_the_draw_is_always_the_same() -> None:
    lengths = lengths_of(WORKS["natural"])
    early = [length for length in lengths if length < 128]
    assert len(lengths) == 32
    assert len(early) == 10
    assert 8 <= min(early) <= max(early) <= 96
    assert lengths == lengths_of(WORKS["natural"])
    assert lengths_of(WORKS["smollm2"]) == [128] * 32


def test_prompts_have_the_wanted_number_of_tokens(tmp_path: Path, repository: Path) -> None:
    write_random(LlamaConfig(vocab_size=3000, hidden_size=32, intermediate_size=8, num_hidden_layers=1), tmp_path)
    for folder in (tmp_path, repository / "checkpoints" / "tiny-base"):
        question, template, text, ids = prompt_of(WORKS["long-prompt"], AutoTokenizer.from_pretrained(folder))
        assert len(ids) == 512
        assert min(ids) > 2  # no padding, no end
        assert (template, text) == ("plain", question + "\n")


def test_a_task_survives_the_way_to_its_process(tmp_path: Path) -> None:
    task = Task("folder", "q", "plain", "q\n", [3, 4], [2, 8], 8, 1, "bf16", 2, 2048, 2)
    task.write(tmp_path / "task.json")
    assert Task.read(tmp_path / "task.json") == task


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--work smoll", "no work 'smoll'"),
        ("--work smollm2 --size 12x4", "12 responses are no whole number of groups of 8"),
        ("--work tiny --peer-batch 7", "64 responses are no multiple of --peer-batch 7"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments: str, sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        works_of(options(arguments.split()))


def test_settings_of_the_command_line_change_a_work() -> None:
    command = "--work natural --size 16x32 --precision fp32 --micro-batch-tokens 99"
    work = works_of(options(command.split()))["natural"]
    assert (work.responses, work.tokens, work.precision, work.micro_batch_tokens) == (16, 32, "fp32", 99)
    assert (work.prompt, work.early) == (64, True)


def test_a_gpu_is_asked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="gpu-smollm2 needs a CUDA device"):
        works_of(options(["--work", "gpu"]))
