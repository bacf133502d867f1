"""Every configuration file parses, every paper preset runs two real steps on a random model of its architecture, and so does
every ablation on top of the paper's recipe. Sweep files parse as grids, and every arm's arguments as `fit`'s.
"""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from lit_rlvr.cli import main
from lit_rlvr.evaluation.plan import EvaluationPlan, refuse_twins
from lit_rlvr.sweep.grid import Arm, read_grid

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SWEEPS = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob("sweep/*.yaml"))
ALL = sorted({str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml")} - set(SWEEPS))
ABLATIONS = sorted(path.stem for path in CONFIGS.glob("ablation/*.yaml"))
ALGORITHMS = sorted(path.stem for path in CONFIGS.glob("algorithm/*.yaml"))
ON_A_FULL_SET = {"wrong_labels_60": "data/dsr_sub", "wrong_labels_90": "data/dsr_sub"}
"""Presets that change a part of a set and so need one."""
COMPLETE = {"tiny.yaml", "paper.yaml"}

PRESETS = [
    (model, problem, strategy)
    for model in ("qwen2.5-math-1.5b", "qwen2.5-math-7b", "llama-3.2-3b-instruct", "deepseek-r1-distill-qwen-1.5b")
    for problem in ("pi1",)
    for strategy in ("fsdp2", "single")
] + [
    ("qwen2.5-math-1.5b", "pi1", "ddp"),
    ("qwen2.5-math-1.5b", "pi13", "single"),
    ("qwen2.5-math-1.5b", "pi1_pi13", "single"),
    ("qwen2.5-math-1.5b", "pi1_pi2_pi13_pi1209", "single"),
    ("qwen2.5-math-1.5b", "dsr_sub", "single"),
]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", ["lit-rlvr", *arguments])
    main()


@pytest.mark.parametrize("config", ALL)
def test_parses(config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser takes it and says it back: no key is unknown, no value of the wrong kind."""
    base = [] if config in COMPLETE else ["--config", "configs/tiny.yaml"]
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, "fit", *base, "--config", f"configs/{config}", "--print_config")
    assert not end.value.code
    printed = yaml.safe_load(capsys.readouterr().out)
    _contains(printed, yaml.safe_load((CONFIGS / config).read_text("utf-8")))


def _arms() -> list[tuple[str, Arm]]:
    grids = [(sweep, read_grid(CONFIGS / sweep)) for sweep in SWEEPS]
    return [(sweep, arm) for sweep, grid in grids for arm in grid.arms]


def test_there_are_sweeps_and_their_titles_differ() -> None:
    for sweep in SWEEPS:
        titles = [arm.title for name, arm in _arms() if name == sweep]
        assert len(titles) == len(set(titles)) >= 3


@pytest.mark.parametrize("arm", [pytest.param(arm, id=f"{Path(s).stem}-{arm.name}") for s, arm in _arms()])
def test_every_arm_of_a_sweep_parses(
    arm: Arm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = arm.command(tmp_path, seed=3)
    if arm.verb == "evaluate":
        plans = next(part.partition("=")[2] for part in command if part.startswith("--plans="))
        made = [EvaluationPlan(**plan) for plan in json.loads(plans)]
        refuse_twins(made, "plans")
        # Training is compared with them, so they ask what the tables of training arms show.
        assert {(plan.benchmark, plan.split) for plan in made} in ({("tiny500", None)}, {("mawps-singleop", "test")})
        return
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, *command, "--print_config")
    assert not end.value.code
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["seed_everything"] == 3
    logger = printed["trainer"]["logger"]["init_args"]
    assert Path(logger["save_dir"], logger["name"], logger["version"]) == arm.folder(tmp_path, 3)


def _contains(whole: object, part: object) -> None:
    if isinstance(part, dict):
        assert isinstance(whole, dict)
        for key, value in part.items():
            if key == "class_path":
                assert str(whole[key]).endswith(value)
            else:
                _contains(whole[key], value)
    elif isinstance(part, list):
        assert isinstance(whole, list)
        assert len(whole) == len(part)
        for a, b in zip(whole, part, strict=True):
            _contains(a, b)
    else:
        assert whole == part


def stand_in(folder: Path) -> None:
    """Files of the paper's names and schema with problems of our own, for machines without the real ones."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    from lit_rlvr.data.readers import PAPER_FILES

    for number, file in enumerate(PAPER_FILES.values()):
        rows = [
            {
                "prompt": [{"role": "user", "content": f"What is {number} + {i}?"}],
                "reward_model": {"ground_truth": str(number + i), "style": "rule"},
                "extra_info": {"index": i, "split": "train"},
            }
            for i in range(1209 if "dsr" in file else 4 if "merge" in file else 1)
        ]
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(rows), folder / file)
    for name in ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench"):
        benchmark = folder / "benchmarks" / name / "test.jsonl"
        benchmark.parent.mkdir(parents=True)
        benchmark.write_text(
            "".join(json.dumps({"problem": f"{i} * {i} = ?", "answer": str(i * i)}) + "\n" for i in range(4))
        )


@pytest.mark.parametrize(("model", "problem", "strategy"), PRESETS, ids=["-".join(p) for p in PRESETS])
def test_preset_runs_two_steps(
    model: str, problem: str, strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path)
    monkeypatch.setenv("LIT_RLVR_DATA", str(tmp_path))
    files = ["paper", f"model/{model}", f"data/{problem}", f"strategy/{strategy}"]
    files += ["debug/random-llama" if "llama" in model else "debug/random-qwen2"]
    arguments = [part for file in files for part in ("--config", f"configs/{file}.yaml")]
    plans = [
        {"benchmark": b, "limit": 2, "max_tokens": 8, "template": "chat"} | ({"samples": 2} if b == "aime24" else {})
        for b in ("math500", "aime24")
    ]
    # bf16-mixed stays: it is part of the preset. gloo has no bf16 trouble, and one process needs no launcher.
    call(
        monkeypatch, "fit", *arguments, "--evaluation.plans", json.dumps(plans),
        "--trainer.logger.init_args.save_dir", str(tmp_path / "runs"),
    )  # fmt: skip
    run = tmp_path / "runs" / "paper" / "version_0"
    rows = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [(row["benchmark"], row["rl_step"]) for row in rows] == [
        (b, s) for s in (0, 2) for b in ("math500", "aime24")
    ]
    assert sorted(os.listdir(run / "checkpoints")) == [
        *("best.ckpt", "last.ckpt", "rl_step=1.ckpt", "rl_step=1.json", "rl_step=2.ckpt", "rl_step=2.json"),
    ]
    history = json.loads((run / "history.json").read_text())
    assert sum(map(len, history.values())) >= 2
    assert (run / "policy" / "config.json").is_file()


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    stand_in(folder)
    return folder


@pytest.mark.parametrize(
    "preset",
    [
        *(f"ablation/{name}" for name in ABLATIONS),
        *(f"algorithm/{name}" for name in ALGORITHMS),
        "data/sixteen",
        "engine/correction",
    ],
)
def test_ablation_runs_two_steps_of_the_paper(
    preset: str, stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_RLVR_DATA", str(stand_ins))
    files = ["paper", *([name] if (name := ON_A_FULL_SET.get(Path(preset).name)) else []), preset, "debug/random-qwen2"]
    arguments = [part for file in files for part in ("--config", f"configs/{file}.yaml")]
    # One precision less to convert, and nothing but the two steps: the presets of the models test the rest.
    call(
        monkeypatch, "fit", *arguments, "--evaluation.plans", "[]", "--checkpoint.export", "false",
        "--trainer.precision", "32-true", "--trainer.logger.init_args.save_dir", str(tmp_path),
    )  # fmt: skip
    run = tmp_path / "paper" / "version_0"
    history = json.loads((run / "history.json").read_text())
    assert sum(map(len, history.values())) >= 2
    _contains(
        yaml.safe_load((run / "config.yaml").read_text()), yaml.safe_load((CONFIGS / f"{preset}.yaml").read_text())
    )


@pytest.mark.parametrize("algorithm", ["dapo", "gspo", "ppo", "reinforce_plus_plus"])
def test_the_correction_goes_on_any_algorithm(
    algorithm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It changes that one setting and neither the class nor what the algorithm's own file says."""
    files = ["tiny", f"algorithm/{algorithm}", "engine/correction"]
    more = [part for file in files for part in ("--config", f"configs/{file}.yaml")]
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, "fit", *more, "--model.algorithm.init_args.correction.kind", "mask", "--print_config")
    assert not end.value.code
    printed = yaml.safe_load(capsys.readouterr().out)
    _contains(printed, yaml.safe_load((CONFIGS / f"algorithm/{algorithm}.yaml").read_text()))
    correction = {"kind": "mask", "level": "token", "threshold": 2.0, "lower": 0.0}
    assert printed["model"]["algorithm"]["init_args"]["correction"] == correction


def test_presets_of_the_loss_are_a_ladder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step adds one term, and the last is the paper's recipe and the tiny default."""
    steps = {
        "policy_loss_only": (0.0, 0.0, 0.0),
        "plus_weight_decay": (0.01, 0.0, 0.0),
        "plus_kl": (0.01, 0.001, 0.0),
        "plus_entropy": (0.01, 0.001, 0.001),
    }
    whole = {}
    for base in COMPLETE:
        for preset in (*steps, None):
            more = ["--config", f"configs/ablation/{preset}.yaml"] if preset else []
            with pytest.raises(SystemExit):
                call(monkeypatch, "fit", "--config", f"configs/{base}", *more, "--print_config")
            model = yaml.safe_load(capsys.readouterr().out)["model"]
            algorithm, optimizer = model["algorithm"]["init_args"], model["optimizer"]["init_args"]
            terms = optimizer["weight_decay"], algorithm["kl_coefficient"], algorithm["entropy_coefficient"]
            assert terms == steps[preset or "plus_entropy"], (base, preset)
            whole[preset] = model
        assert whole[None] == whole["plus_entropy"]
