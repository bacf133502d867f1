"""A grid file: what it becomes, and every mistake in it in one sentence."""

from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.sweep.grid import read_grid

GOOD = """
base: [configs/tiny.yaml]
arms:
  one: {title: one problem}
  strong:
    title: strong entropy
    arguments: [--config, configs/ablation/entropy_too_strong.yaml, --data.rows, 4, --evaluation.at_start, false]
  shown: {title: in context, verb: evaluate, arguments: [--policy, "{root}/policy"]}
"""


@pytest.fixture(autouse=True)
def _in_the_checkout(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


def _file(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def test_commands_of_the_arms(tmp_path: Path) -> None:
    grid = read_grid(_file(tmp_path, GOOD), ["--data.rl_steps", "2"])
    assert [(arm.name, arm.title, arm.verb) for arm in grid.arms] == [
        ("one", "one problem", "fit"),
        ("strong", "strong entropy", "fit"),
        ("shown", "in context", "evaluate"),
    ]
    logger = "--trainer.logger.init_args."
    assert grid.arms[1].command(Path("out"), 7) == [
        "fit", "--config", "configs/tiny.yaml", "--config", "configs/ablation/entropy_too_strong.yaml",
        "--data.rows", "4", "--evaluation.at_start", "false", "--data.rl_steps", "2", "--seed_everything", "7",
        f"{logger}save_dir", "out", f"{logger}name", "strong", f"{logger}version", "seed-7",
    ]  # fmt: skip
    assert grid.arms[1].folder(Path("out"), 7) == Path("out/strong/seed-7")
    # What follows -- is for training; evaluate has other options.
    assert grid.arms[2].command(Path("out"), 1) == [
        "evaluate", "--policy", "out/policy", "--output", "out/shown/seed-1", "--seed", "1"
    ]  # fmt: skip


def test_chosen_arms_keep_their_order(tmp_path: Path) -> None:
    grid = read_grid(_file(tmp_path, GOOD))
    assert [arm.name for arm in grid.choose(["shown", "one"]).arms] == ["one", "shown"]
    assert grid.choose(None) == grid
    with pytest.raises(UserError, match=r"--arms: .*grid.yaml has no arm 'strongg'; the nearest is 'strong'"):
        grid.choose(["one", "strongg"])


MISTAKES = {
    "empty": ("", "is no grid: it needs the keys base, arms"),
    "a list": ("- one\n", "is no grid"),
    "damaged": ("arms: {one: [", "is no valid YAML: "),
    "unknown key": ("bases: []\narms: {one: {title: x}}", r"there is no key 'bases'; the nearest is 'base'"),
    "no arms": ("base: []", "arms is empty"),
    "arms as a list": ("arms: [one]", "arms is empty"),
    "unknown key of an arm": ("arms: {one: {titel: x}}", r"arm one: there is no key 'titel'; the nearest is 'title'"),
    "an arm that is no mapping": ("arms: {one: --data.rows}", "arm one: give it a title and arguments"),
    "no title": ("arms: {one: {arguments: []}}", "arm one: title is None"),
    "a title that breaks the table": ("arms: {one: {title: a|b}}", r"title is 'a\|b'.*without \|"),
    "arguments in one string": (
        "arms: {one: {title: x, arguments: --data.rows 4}}",
        "arm one: arguments is '--data.rows 4'; give a list of words",
    ),
    "an argument that is a list": ("arms: {one: {title: x, arguments: [[a]]}}", "give a list of words"),
    "unknown verb": ("arms: {one: {title: x, verb: evalute}}", r"verb is 'evalute'; the nearest is 'evaluate'"),
    "a name that is no folder": ("arms: {../one: {title: x}}", "a name becomes a folder"),
    "an arm twice": (
        "arms:\n  one: {title: x}\n  one: {title: y}\n",
        "line 3, column 3 is no valid YAML: the key 'one' is there twice",
    ),
    "missing base": (
        "base: [configs/tinny.yaml]\narms: {one: {title: x}}",
        r"base: there is no configuration file 'configs/tinny.yaml'; the nearest is 'configs/tiny.yaml'",
    ),
    "missing config of an arm": (
        "arms: {one: {title: x, arguments: [--config, configs/ablation/entropy_onli.yaml]}}",
        r"arm one: there is no configuration file .*; the nearest is 'configs/ablation/entropy_only.yaml'",
    ),
    "the same, written with =": ("arms: {one: {title: x, arguments: [--config=no/such.yaml]}}", "'no/such.yaml'"),
    "a config left out": ("arms: {one: {title: x, arguments: [--config]}}", "no configuration file ''"),
    "the seed": ("arms: {one: {title: x, arguments: [--seed_everything, 1]}}", "--seed_everything is set by the sweep"),
    "the output": ("arms: {one: {title: x, verb: evaluate, arguments: [--output=a]}}", "--output is set by the sweep"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, tmp_path: Path) -> None:
    text, sentence = MISTAKES[mistake]
    with pytest.raises(UserError, match=sentence) as error:
        read_grid(_file(tmp_path, text))
    assert len(" ".join(str(error.value).split())) < 450


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no grid configs/sweep/tinny.yaml; the nearest is 'tiny.yaml'"):
        read_grid(Path("configs/sweep/tinny.yaml"))
    with pytest.raises(UserError, match="there is no grid no/such/grid"):
        read_grid(Path("no/such/grid.yaml"))
    with pytest.raises(UserError, match="cannot be read"):
        read_grid(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="is not valid UTF-8"):
        read_grid(tmp_path / "bytes.yaml")
