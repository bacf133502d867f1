"""Pre-training: repeatable to the byte, careful with folders; and the checkpoint that the repository carries."""

import hashlib
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from lit_rlvr.tiny import pretrain
from lit_rlvr.tiny.problems import split_of
from lit_rlvr.tiny.sets import tiny500
from lit_rlvr.tiny.tokenizer import END_ID, PAD_ID, VOCABULARY


@pytest.fixture(scope="module")
def checkpoint(repository: Path) -> Path:
    return repository / "checkpoints" / "tiny-base"


def small(folder: Path, *more: str) -> int:
    return pretrain.main(["--out", str(folder), "--steps", "20", "--conversations", "1500", *more])


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_twenty_steps_twice_give_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert small(tmp_path / "a") == small(tmp_path / "b") == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert "step 20/20" in capsys.readouterr().out
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(
        digests(tmp_path / "a")
    )
    assert small(tmp_path / "c", "--seed", "1") == 0
    assert digests(tmp_path / "c")["model.safetensors"] != digests(tmp_path / "a")["model.safetensors"]


def test_refuses_a_foreign_folder_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    keep = tmp_path / "thesis.txt"
    keep.write_text("mine")
    assert small(tmp_path) == 2
    error = capsys.readouterr().err.strip()
    assert str(tmp_path) in error
    assert "--overwrite" in error
    assert "\n" not in error
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    assert small(keep) == 2


def test_folder_rules(tmp_path: Path, checkpoint: Path):
    pretrain.check_folder(tmp_path, overwrite=False)
    pretrain.check_folder(tmp_path / "new", overwrite=False)
    pretrain.check_folder(checkpoint, overwrite=False)
    (tmp_path / "x").write_text("")
    pretrain.check_folder(tmp_path, overwrite=True)


def test_loss_is_the_weighted_mean_over_real_tokens():
    model = pretrain.fresh_model(0)
    lines = [pretrain.Line((2, 10, 11, 3, 12, 1), 4), pretrain.Line((2, 20, 3, 21, 22, 23, 24, 1), 3)]
    total, weights = 0.0, 0.0
    with torch.no_grad():
        for line in lines:
            logprobs = model(torch.tensor([line.ids])).logits[0].log_softmax(-1)
            for i in range(1, len(line.ids)):
                weight = 0.1 if i < line.prompt else 1.0
                total -= weight * float(logprobs[i - 1, line.ids[i]])
                weights += weight
        assert float(pretrain.language_loss(model, lines, 0.1)) == pytest.approx(total / weights, rel=1e-4)


def test_batches_hold_every_line_once_and_keep_their_size():
    rng = random.Random(0)
    lines = [pretrain.Line(tuple([i + 1] + [1] * rng.randint(3, 60)), 2) for i in range(300)]
    stream, seen = pretrain.batches(lines, 400, random.Random(1)), []
    while len(seen) < 300:
        batch = next(stream)
        assert len(batch) * max(len(x.ids) for x in batch) <= 400
        seen += [x.ids[0] for x in batch]
    assert sorted(seen) == list(range(1, 301))


def test_drills_are_true_and_no_problem_of_another_split():
    rng = random.Random(3)
    for _ in range(300):
        facts = [x for x in pretrain.drill_line(rng).rstrip(".").split(". ") if "%" not in x and x]
        for fact in facts:
            left, right = fact.split("=")
            assert eval(left.replace("/", "//")) == int(right)
            assert split_of(left) == "pretrain" or "*" in left


def test_no_held_out_question_in_the_pretraining_text():
    rng = random.Random("tiny-pretrain/0")
    text = {question for question, _ in pretrain.conversations(rng, 20_000)}
    assert not text & {p.question for p in tiny500()}


def test_checkpoint_loads_and_is_small(checkpoint: Path):
    assert sum(p.stat().st_size for p in checkpoint.rglob("*")) <= 6 * 2**20
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    assert model.config.architectures == ["Qwen2ForCausalLM"]
    assert next(model.parameters()).dtype == torch.float32
    assert model.config.max_position_embeddings >= 4096
    assert model.config.vocab_size == VOCABULARY
    generation = GenerationConfig.from_pretrained(checkpoint)
    assert (generation.eos_token_id, generation.pad_token_id) == (END_ID, PAD_ID)
    card = (checkpoint / "README.md").read_text()
    assert pretrain.MARK in card
    assert "/tmp" not in card


def greedy(checkpoint: Path, questions: list[str], start: str = "") -> list[str]:
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    prompts = [
        tokenizer.apply_chat_template([{"role": "user", "content": q}], tokenize=False, add_generation_prompt=True)
        + start
        for q in questions
    ]
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    output = model.generate(**inputs, max_new_tokens=64, do_sample=False)
    return tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_base_can_but_mostly_does_not(checkpoint: Path):
    sample = tiny500()[:120]  # every phrasing three times
    plain = greedy(checkpoint, [p.question for p in sample])
    careful = greedy(checkpoint, [p.question for p in sample], "Step by step:")
    boxed = sum(rf"\boxed{{{p.answer}}}" in text for p, text in zip(sample, plain, strict=True))
    able = sum(
        f"The answer is \\boxed{{{p.answer}}}" in text or f"The answer is {p.answer}." in text
        for p, text in zip(sample, careful, strict=True)
    )
    assert boxed < 0.45 * 120
    assert able > 0.85 * 120


def test_a_long_foreign_prompt_does_not_break_it(checkpoint: Path):
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    with torch.inference_mode():
        logits = model(torch.arange(4, 504).repeat(3)[None]).logits
    assert torch.isfinite(logits).all()
