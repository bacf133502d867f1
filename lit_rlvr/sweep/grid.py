"""The grid of a sweep: a YAML file -> its arms, and for each arm and seed the command that runs it.

A grid file holds

    base: [configs/tiny.yaml]            # configurations under every arm that trains
    arms:
      format-only:                       # the arm's name, and its folder's
        title: format-only reward        # what the table calls it
        verb: fit                        # or evaluate, for an arm without training; fit if left out
        arguments: [--config, configs/ablation/format_reward.yaml]

``{root}`` in an argument stands for the sweep's folder.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from lit_rlvr.config_files import load_yaml
from lit_rlvr.errors import UserError, cut, shown

Verb = Literal["fit", "evaluate"]
_GRID_KEYS, _ARM_KEYS, _VERBS = ("base", "arms"), ("title", "verb", "arguments"), ("fit", "evaluate")
_NAME = re.compile(r"[\w][\w.-]*")
_OURS = {
    "fit": ("--seed_everything", "--ckpt_path", *(f"--trainer.logger.init_args.{k}" for k in ("save_dir", "name", "version"))),
    "evaluate": ("--seed", "--output"),
}  # fmt: skip
"""What the sweep itself gives to each verb."""


@dataclass(frozen=True)
class Arm:
    """One row of the table.

    Attributes:
        name: of the arm, and of its folder.
        title: what the table calls it.
        verb: the command that does it.
        arguments: what it is given, the grid's base included, seed and folder not.
    """

    name: str
    title: str
    verb: Verb
    arguments: tuple[str, ...]

    def command(self, root: Path, seed: int) -> list[str]:
        """The arguments of `lit-rlvr` for one seed; the run's folder will be ``root/name/seed-<n>``."""
        given = [self.verb, *(argument.replace("{root}", str(root)) for argument in self.arguments)]
        if self.verb == "evaluate":
            return [*given, "--output", str(self.folder(root, seed)), "--seed", str(seed)]
        logger = {"save_dir": str(root), "name": self.name, "version": f"seed-{seed}"}
        where = [part for key, value in logger.items() for part in (f"--trainer.logger.init_args.{key}", value)]
        return [*given, "--seed_everything", str(seed), *where]

    def folder(self, root: Path, seed: int) -> Path:
        """Where the run with that seed is."""
        return root / self.name / f"seed-{seed}"


@dataclass(frozen=True)
class Grid:
    """All arms, in the order of the table."""

    file: Path
    arms: tuple[Arm, ...]

    def choose(self, names: Sequence[str] | None) -> "Grid":
        """The grid with these arms alone, in its own order.

        Raises:
            UserError: one of them is not there.
        """
        if names is None:
            return self
        known = [arm.name for arm in self.arms]
        for name in names:
            if name not in known:
                raise UserError(f"--arms: {self.file} has no arm {name!r}; {_nearest(name, known)}.")
        return Grid(self.file, tuple(arm for arm in self.arms if arm.name in names))


def read_grid(file: Path, extra: Sequence[str] = ()) -> Grid:
    """The grid of a file, checked as far as that is possible without running anything.

    Args:
        file: the YAML file.
        extra: arguments added to those of every arm that trains.

    Raises:
        UserError: the file is not there or no grid, with the place of the mistake.
    """
    content = _load(file)
    if not isinstance(content, dict):
        raise UserError(f"{file} is no grid: it needs the keys {', '.join(_GRID_KEYS)}.")
    _check_keys(content, _GRID_KEYS, str(file))
    base = _texts(content.get("base", []), f"{file}: base")
    for config in base:
        _check_config(config, f"{file}: base")
    arms = content.get("arms")
    if not isinstance(arms, dict) or not arms:
        raise UserError(f"{file}: arms is empty; give it one arm at least, a name with a title and arguments below it.")
    shared = [part for config in base for part in ("--config", config)]
    return Grid(file, tuple(_arm(str(name), given, shared, tuple(extra), file) for name, given in arms.items()))


def _arm(name: str, given: Any, base: list[str], extra: tuple[str, ...], file: Path) -> Arm:
    where = f"{file}: arm {name[:60]}"
    if not _NAME.fullmatch(name):
        raise UserError(f"{where}: a name becomes a folder; use letters, digits, dots, - and _ only.")
    if not isinstance(given, dict):
        raise UserError(f"{where}: give it a title and arguments.")
    _check_keys(given, _ARM_KEYS, where)
    verb = given.get("verb", "fit")
    if verb not in _VERBS:
        raise UserError(f"{where}: verb is {shown(verb)}; {_nearest(str(verb), _VERBS)}.")
    title = given.get("title")
    if not isinstance(title, str | int | float) or isinstance(title, bool) or "|" in str(title):
        raise UserError(f"{where}: title is {shown(title)}; give the words that the table shows, without |.")
    arguments = _texts(given.get("arguments", []), f"{where}: arguments")
    if verb == "fit":
        arguments = (*base, *arguments, *extra)
    for place, argument in enumerate(arguments):
        option, _, value = argument.partition("=")
        if option in _OURS[verb]:
            raise UserError(f"{where}: {option} is set by the sweep; leave it out.")
        if option == "--config":
            _check_config(value or (arguments[place + 1] if place + 1 < len(arguments) else ""), where)
    return Arm(name, str(title), verb, arguments)


def _load(file: Path) -> Any:
    try:
        return load_yaml(file)
    except FileNotFoundError:
        folder = file.parent if file.parent.is_dir() else Path()
        raise UserError(
            f"there is no grid {file}; {_nearest(file.name, [p.name for p in folder.glob('*.yaml')])} (looked in {folder})."
        ) from None
    except OSError as error:
        raise UserError(f"the grid {file} cannot be read: {error.strerror}.") from error


def _check_keys(given: dict[Any, Any], known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise UserError(f"{where}: there is no key {shown(key)}; {_nearest(str(key), known)}.")


def _check_config(config: str, where: str) -> None:
    if not os.path.isfile(config):  # which, unlike Path, never raises
        folder = Path(config).parent
        near = [str(path) for path in folder.glob("*.yaml")] if os.path.isdir(folder) else []
        raise UserError(f"{where}: there is no configuration file {shown(config)}; {_nearest(config, near)}.")


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """A list of words as the command line would take them; true and false as YAML and the command line spell them."""
    if not isinstance(value, list) or any(not isinstance(part, str | int | float) for part in value):
        raise UserError(f"{where} is {shown(value)}; give a list of words, one for each argument.")
    return tuple(str(part).lower() if isinstance(part, bool) else str(part) for part in value)


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.4)
    if near:
        return f"the nearest is {near[0]!r}"
    return f"there are {cut(', '.join(known))}" if known else "there is none"
