"""The tripwire on real runs: broken syncs stop them in time and whole, healthy ones never, and nothing else is disturbed."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from lit_rlvr.errors import UserError
from lit_rlvr.models.loading import load_tokenizer
from lit_rlvr.models.policy import Policy
from lit_rlvr.module import RLVRModule
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.tripwire import COARSE_LIMIT, EXACT_LIMIT, Tripwire, TripwireConfig, worst_difference
from tests.builders import random_model, rollouts_of
from tests.training.broken_engines import ForgetfulEngine, ShiftedEngine
from tests.training.small_run import small_run

CPU = torch.device("cpu")
PARALLEL = Parallel(SingleDeviceStrategy(CPU), CPU)


def _weights(module: RLVRModule) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.policy.parameters()])


@pytest.fixture(scope="module")
def whole(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """The policy's weights after four RL steps with a healthy engine."""
    return _weights(small_run(repository, tmp_path_factory.mktemp("whole"), TransformersEngine()))


@pytest.mark.parametrize("forgotten", ["", "layers.1.", "embed_tokens", "layers.0.mlp.down_proj"])
def test_a_forgotten_part_stops_the_run_before_another_update(
    forgotten: str, whole: torch.Tensor, repository: Path, tmp_path: Path
) -> None:
    """Two syncs work, the third does not: the run ends there, and goes on from its last checkpoint as if nothing was."""
    engine = ForgetfulEngine(forgotten, healthy=2)
    with pytest.raises(
        UserError, match=r"After the update of RL step 2, over a probe of \d+ tokens.*tripwire\.mean allows 0\.001"
    ):
        small_run(repository, tmp_path, engine)
    assert engine.syncs == 3
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    assert os.readlink(checkpoint) == "rl_step=2.ckpt"
    resumed = small_run(repository, tmp_path, TransformersEngine(), checkpoint=str(checkpoint))
    assert torch.equal(_weights(resumed), whole)


def test_weights_that_no_sync_brought_are_noticed_in_16_bits_too(repository: Path, tmp_path: Path) -> None:
    engine = ForgetfulEngine("", dtype="bfloat16")
    with pytest.raises(UserError, match=r"RL step \d.*tripwire\.mean allows 0\.2"):
        small_run(repository, tmp_path, engine, steps=8, lr=3e-3)
    assert engine.syncs < 8


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_healthy_run_goes_through_and_the_probe_changes_nothing(dtype: Any, repository: Path, tmp_path: Path) -> None:
    probed, bare = (
        small_run(
            repository,
            tmp_path / str(tokens),
            TransformersEngine(dtype),
            steps=6,
            tripwire=TripwireConfig(tokens=tokens),
        )
        for tokens in (32, 0)
    )
    assert int(probed.rl_step) == 6
    assert torch.equal(_weights(probed), _weights(bare))


def test_weights_that_are_no_numbers_stop_the_run(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"After the update of RL step 0.*the policy's.*not finite.*learning rate"):
        small_run(repository, tmp_path, TransformersEngine(), lr=1e30, tripwire=TripwireConfig(mean=math.inf))


def test_a_log_prob_that_is_no_number_stops_the_run_at_the_start(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"At the start, over a probe.*the engine's.*not finite, and the policy's are.*update_weights"
    ):
        small_run(repository, tmp_path, ShiftedEngine(math.nan, many=1))


def test_the_rollouts_themselves_are_held_against_the_trainer(repository: Path, tmp_path: Path) -> None:
    """An engine that is right about a few responses and wrong about many: 16 of them are one step's."""
    with pytest.raises(UserError, match=r"In RL step 0, over all rollouts.*differ by 0\.01 in the mean"):
        small_run(repository, tmp_path, ShiftedEngine(0.01, many=16))
    small_run(repository, tmp_path, ShiftedEngine(0.01, many=16), steps=1, tripwire=TripwireConfig(mean=0.02))


def test_a_cut_distribution_is_meant_to_differ(repository: Path, tmp_path: Path) -> None:
    sampling = Sampling(n=8, temperature=1.0, top_p=0.5, max_tokens=16)
    with pytest.warns(UserWarning, match="off-policy"):
        module = small_run(repository, tmp_path, TransformersEngine(), steps=2, sampling=sampling)
    assert module.last_step is not None
    assert module.last_step.metrics["rollout/logprob_diff/mean"] > EXACT_LIMIT


def test_a_probe_leaves_the_policy_and_the_random_numbers_as_they_were(repository: Path) -> None:
    """Half of the attention is dropped in training mode: an engine knows of none of that, and a probe must not either."""
    tokenizer = load_tokenizer(str(repository / "checkpoints" / "tiny-base"))
    model = random_model(vocabulary=len(tokenizer))
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    policy = Policy(model, len(tokenizer)).train()
    engine = TransformersEngine()
    engine.setup(model, tokenizer, CPU)
    state = torch.get_rng_state()
    tripwire = Tripwire(TripwireConfig(), EXACT_LIMIT)
    sampling = Sampling(n=8, temperature=0.7, max_tokens=4)
    tripwire.probe(engine, policy, (3, 4, 5), sampling, 0, PARALLEL, "Now")
    assert all(module.training for module in policy.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in policy.parameters())


def test_the_worst_token_is_found_and_no_number_is_worst() -> None:
    drawn = replace(rollouts_of([(1, 2)], [[3, 4], [5]], n=2), logprobs=torch.tensor([-1.0, -2.0, -3.0]))
    assert worst_difference(drawn, torch.tensor([-1.5, -2.0, -2.9]), PARALLEL) == pytest.approx((0.2, 0.5))
    assert worst_difference(drawn, torch.tensor([-1.0, math.nan, -3.0]), PARALLEL) == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("dtype", "device", "precision", "limit"),
    [
        ("auto", "cpu", "32-true", EXACT_LIMIT),
        ("float32", "cuda", "32-true", EXACT_LIMIT),
        ("auto", "cuda", "32-true", COARSE_LIMIT),
        ("bfloat16", "cpu", "32-true", COARSE_LIMIT),
        ("float16", "cpu", "32-true", COARSE_LIMIT),
        ("float32", "cpu", "bf16-mixed", COARSE_LIMIT),
    ],
)
def test_the_limit_follows_from_the_precision(dtype: Any, device: str, precision: str, limit: float) -> None:
    engine = TransformersEngine(dtype)
    assert Tripwire.of(TripwireConfig(), engine, precision, torch.device(device)).limit == limit
    assert Tripwire.of(TripwireConfig(mean=0.07), engine, precision, torch.device(device)).limit == 0.07


def test_matrix_products_of_16_bits_are_no_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert Tripwire.of(TripwireConfig(), TransformersEngine(), "32-true", CPU).limit == COARSE_LIMIT


@pytest.mark.parametrize(
    ("wrong", "key"),
    [({"mean": 0.0}, "mean is 0"), ({"mean": math.nan}, "mean is nan"), ({"tokens": -1}, "tokens is -1")],
)
def test_nonsense_names_its_key(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=rf"model\.tripwire\.{key}"):
        TripwireConfig(**wrong)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_one_broken_engine_of_two_stops_both_processes(strategy: str, repository: Path, tmp_path: Path) -> None:
    line = [
        sys.executable, "-m", "lit_rlvr.cli", "fit", "--config", "configs/tiny.yaml",
        "--model.engine", "tests.training.broken_engines.OneRankEngine", "--model.optimizer.init_args.lr", "1e-3",
        "--trainer.strategy", strategy, "--trainer.devices", "2", "--model.sampling.max_tokens", "16",
        "--data.rows", "4", "--data.rl_steps", "3", "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]",
        "--trainer.logger.init_args.save_dir", str(tmp_path),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        line, cwd=repository, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr[-3000:]
    # Each process says so itself: neither was ended by the other, nor waited for it.
    assert done.stderr.count("lit-rlvr: error: After the update of RL step 0, over a probe") == 2, done.stderr[-3000:]
    assert not list(tmp_path.rglob("*.ckpt"))
