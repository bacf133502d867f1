"""A configuration file before the parser sees it, and the configuration before anything is built of it.

From: a name on the command line. To: jsonargparse, which would take the last of two equal keys, pass over a section that is no
mapping, take null for any number, and name neither file nor line.
"""

import inspect
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace
from jsonargparse._util import import_object

from lit_rlvr.errors import UserError, shown
from lit_rlvr.files import json_text


class ConfigFile(ActionConfigFile):
    """``--config FILE``, with mistakes in the file said as `UserError`."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Look at the file, then let jsonargparse read it."""
        check_config(str(values), parser)
        super().__call__(parser, cfg, values, option_string)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, which YAML would let the later one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(
                problem=f"the key {twice!r} is there twice",
                problem_mark=[key for key, _ in node.value if self.construct_object(key) == twice][1].start_mark,
            )
        return super().construct_mapping(node, deep)


def load_yaml(file: Path) -> Any:
    """What a YAML file says.

    Raises:
        UserError: it is no UTF-8 text or no YAML, with the line; or a key is there twice in one place.
        OSError: it cannot be read.
    """
    return _parse(json_text(file), str(file))


def _parse(text: str, file: str) -> Any:
    try:
        content = yaml.load(text, _Loader)
        json.dumps(content, default=str, skipkeys=True, ensure_ascii=False).encode()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        why = " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", error)).split())[:200]
        raise UserError(f"{file}{where} is no valid YAML: {why}.") from error
    except (
        ValueError,
        TypeError,
        RecursionError,
    ) as error:  # a date that is none, a key that is a list, no end of brackets
        why = " ".join(str(error).split())[:200].rstrip(".")
        raise UserError(f"{file} is no valid YAML: {why}.") from error
    return content


def refuse_endless(words: Iterable[Any]) -> None:
    """Refuse a word of the command line with an alias within itself, over which jsonargparse would never come to an end.

    Raises:
        UserError: naming the word.
    """
    for word in words:
        value = str(word).partition("=")[2] if str(word).startswith("--") else str(word)
        if "&" not in value or "*" not in value:
            continue
        try:
            json.dumps(yaml.safe_load(value), default=str, skipkeys=True)
        except yaml.YAMLError:
            continue  # text, then, which the parser takes or refuses
        except (ValueError, TypeError, RecursionError) as error:
            raise UserError(f"{shown(word)} on the command line is no value: write it out.") from error


def check_config(given: str, parser: ArgumentParser) -> None:
    """Refuse a file that the parser would misread.

    Args:
        given: its name, or YAML itself; a name that nothing is under is left to the parser.
        parser: knows the sections.

    Raises:
        UserError: it is a folder, cannot be read, is no YAML or empty, or a section of it is no mapping.
    """
    file = Path(given)
    try:
        if os.path.isdir(file):  # which, unlike Path, never raises
            raise UserError(f"--config {file} is a folder; name a YAML file in it.")
        if not os.path.isfile(file):
            file, content = Path("--config"), _parse(given, "--config")
            if isinstance(content, str):
                return
        else:
            content = load_yaml(file)
    except OSError as error:
        raise UserError(f"the configuration {shown(given)} cannot be read: {error.strerror}.") from error
    if content is None:
        raise UserError(f"the configuration file {file} is empty; put keys into it, or leave it out.")
    if not isinstance(content, dict):
        raise UserError(
            f"the configuration file {file} holds a {type(content).__name__}; give it sections such as model and data, "
            "each with keys below it."
        )
    sections = {action.dest.split(".")[0] for action in parser._actions if "." in action.dest}
    for name, value in content.items():
        if not isinstance(name, str):
            raise UserError(
                f"the configuration file {file} has the key {shown(name)}; keys are words such as model and data."
            )
        if name in sections and value is not None and not isinstance(value, dict):  # Lightning prints some as null
            raise UserError(
                f"the configuration file {file}: {name} is {shown(value)}; it is a section, so give it keys below it."
            )


def refuse_nulls(parser: ArgumentParser, config: Namespace) -> None:
    """Refuse null where a value is needed: the parser takes it for anything.

    Raises:
        UserError: naming the key.
    """
    for action in parser._actions:
        wanted = getattr(action, "_typehint", None)
        if wanted is not None and action.dest in config and config[action.dest] is None:
            _refuse_null(action.dest, wanted, action.default)
    for key, value in config.items(branches=True):
        if isinstance(value, Namespace) and isinstance(value.get("init_args"), Namespace):
            for name, given in vars(value.init_args).items():
                if given is None:
                    _refuse_null(f"{key}.init_args.{name}", *_wanted(import_object(value.class_path), name))


def _wanted(kind: Any, name: str) -> tuple[Any, Any]:
    """Type and default of a setting of a class, which may hand it on to the class above it."""
    for level in inspect.getmro(kind) if inspect.isclass(kind) else ():
        made = vars(level).get("__init__")
        parameter = inspect.signature(made).parameters.get(name) if inspect.isfunction(made) else None
        if parameter is not None:
            return get_type_hints(made).get(name, Any), parameter.default
    return Any, None


def _refuse_null(key: str, wanted: Any, default: Any) -> None:
    if default is None or wanted is Any or type(None) in get_args(wanted):
        return
    instead = "" if default is inspect.Parameter.empty else f", or leave it out for {default}"
    raise UserError(f"{key} is null; give it a value{instead}.")
