"""From an exception to the one sentence a user needs: what, where, and how to mend it."""

import errno
import inspect
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from importlib.util import find_spec

import torch
from jsonargparse import ArgumentParser
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.commands import CommandParser
from lit_rlvr.errors import UserError, chain, cut, first_line, shown
from lit_rlvr.evaluation.evaluator import EvaluationPlan
from lit_rlvr.rewards.rewards import Reward
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.rollout.vllm_engine import VLLMEngine

CHOSEN: dict[str, Callable[[], list[type]]] = {
    "algorithm": lambda: concrete(Algorithm),
    "reward": lambda: concrete(Reward),
    "engine": lambda: [TransformersEngine, VLLMEngine],
}
"""Keys whose value is a class -> those that can be named without their module."""

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE}
"""What goes wrong with a disk while a file is open, whose name the error does not have."""

_LOST = re.compile(
    r"(?s)(gloo|NCCL|ProcessGroup|store).*(onnection (closed|reset|refused)|[Tt]imed? ?out|Broken pipe|abort)"
)
"""How gloo and NCCL say that a process they wait for is not there."""

# What torch's optimizers say of settings that they refuse.
_OPTIMIZER = re.compile(r"Invalid (learning rate|epsilon value|beta parameter|weight_decay value|momentum value|lr)")


def user_error(error: BaseException | None) -> UserError | None:
    """The `UserError` behind an exception: jsonargparse wraps what a class raises while it is built."""
    return next((e for e in chain(error) if isinstance(e, UserError)), None)


def sentence_for(error: Exception) -> str | None:
    """What to tell the user, or None where it is no mistake of theirs."""
    ours = user_error(error)
    if ours is not None:
        return str(ours)
    if isinstance(error, MisconfigurationException):
        return str(error)
    unwritten = disk_error(error)
    if unwritten is not None:
        return (
            f"{os.fsdecode(unwritten.filename or 'a file')}: {unwritten.strerror}; check that the folder is there, can be written "
            "to, and has room (a run goes on with --ckpt_path last)."
        )
    if isinstance(error, UnicodeEncodeError):
        half = error.object[error.start : error.end]
        return f"the text {shown(error.object)} holds {half!r}, which is no character: write it in UTF-8."
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return "a number in the configuration or on the command line has thousands of digits; shorten it."
    if isinstance(error, ValueError) and _OPTIMIZER.match(str(error)):
        return (
            f"the optimizer refuses its settings ({first_line(error).rstrip('.')}): mend model.optimizer.init_args, or those of "
            "model.critic_optimizer."
        )
    if isinstance(error, RuntimeError) and _LOST.search(str(error)):
        return (
            "another process of the run is gone, or has not answered within the time limit of the process group "
            f"({shown(first_line(error))}): its own error stands above if it had one; the run goes on from its last checkpoint with "
            "--ckpt_path last."
        )
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "the GPU is out of memory: lower model.update.micro_batch_tokens or model.engine.init_args.max_batch, set "
            "model.gradient_checkpointing, or use more GPUs with trainer.strategy fsdp2."
        )
    return None


def disk_error(error: Exception) -> OSError | None:
    """The file system's error, where an exception is one or hides it: whatever a logger meets, Lightning takes for a value that
    cannot be logged.
    """
    found = error.__cause__ if "you tried to log" in str(error) else error
    # A file that is open, and a socket, have no name in their errors: of these the disk's alone are the user's to mend.
    return found if isinstance(found, OSError) and (found.filename is not None or found.errno in _DISK) else None


def explain(message: str, parser: ArgumentParser) -> str:
    """One sentence from the parser's message, with the nearest right key where a wrong one was given.

    Args:
        message: what jsonargparse would print after a page of usage.
        parser: that parser, which knows the keys.
    """
    text = cut(" ".join(message.split()), 4000)
    key = re.search(r"(?:does not accept option|[Uu]nrecognized arguments:|Option) \'?(?:--)?([\w.]+)\'?", text)
    if key:
        return _unknown_key(key[1], known_keys(parser) + class_keys())
    value = re.search(
        r'Parser key "([\w.]+)":.*?Expected an? (.*?)(?:\. Got value: | Given value type: .* Given value: )(.*)', text
    )
    if value:
        return _wrong_value(*value.groups())
    absent = re.search(r'Parser key "([\w.]+)":.*No module named \'(\w+)', text)
    if absent and find_spec(absent[2]) is None:
        return f"{absent[1]} names a class of {absent[2]}, which is not installed here: `pip install {absent[2]}`, or name another."
    name = re.search(r'Parser key "([\w.]+)":.*Expected a dot import path string: (\S+)', text)
    if name:
        return _wrong_value(name[1], "a class", name[2])
    section = re.search(r'Parser key "([\w.]+)": Unable to load config \'?"?(.*?)\'?"?( -|$)', text)
    if section:
        return f"{section[1]} is {cut(section[2])}; it is a section, so give it keys below it."
    nothing = re.search(r"argument (?:-\w/)?(--[\w.]+)\S*: expected one argument", text)
    if nothing:
        return f"{nothing[1]} is given no value; write one after it, or leave it out."
    lacking = re.search(r"following arguments are required: ([\w., ]+)", text)
    if lacking and not isinstance(parser, CommandParser):
        names = (next((k for k in class_keys() if k.endswith(f".{name}")), name) for name in lacking[1].split(", "))
        return f"the configuration lacks {', '.join(names)}; give it a value (`lit-rlvr fit --help` lists the keys)."
    file = re.search(r"File does not exist: '?([^']+)'?", text)
    if file:
        return f"there is no configuration file {cut(file[1])}."
    return cut(text, 400)


def _unknown_key(key: str, known: list[str]) -> str:
    key = cut(key)
    near = get_close_matches(key, known, n=1)
    if not near:  # the right name in the wrong section, or a key of a class, of which only the last part is given
        leaf = get_close_matches(key.rsplit(".", 1)[-1], [k.rsplit(".", 1)[-1] for k in known], n=1)
        near = [k for k in known if leaf and k.rsplit(".", 1)[-1] == leaf[0]]
    hint = f"; the nearest key is {near[0]!r}" if near else "; `lit-rlvr fit --help` lists the keys"
    return f"the configuration has no key {key!r}{hint}."


def _wrong_value(key: str, expected: str, given: str) -> str:
    given = cut(given)
    kinds = CHOSEN.get(key.rsplit(".", 1)[-1])
    if kinds is not None:
        names = ", ".join(sorted(kind.__name__ for kind in kinds()))
        return f"{key} is {given}, which is no class known here; use one of {names}, or the import path of your own."
    if key.endswith("plans"):
        return f"{key} is {given}, which is no list of plans; each names a benchmark, as in [{{benchmark: math500}}]."
    if expected.startswith("path but"):
        return f"{key} is {given}, and there is nothing of that name to import; give the import path of a class."
    expected = re.sub(r" - Expected an? ", " or ", expected)
    plain = re.sub(r"<class '([\w.]+)'>", r"\1", expected).replace("typing.Literal", "one of ")
    return f"{key} is {given}, which is not what is expected there: {cut(plain, 350)}."


def known_keys(parser: ArgumentParser) -> list[str]:
    """Every dotted key of the parser and of its subcommands."""
    keys: list[str] = []
    for action in parser._actions:
        choices = getattr(action, "choices", None)
        if isinstance(choices, dict):
            keys += [k for sub in choices.values() if isinstance(sub, ArgumentParser) for k in known_keys(sub)]
        elif action.dest:
            keys.append(action.dest)
    return list(dict.fromkeys(keys))


def class_keys() -> list[str]:
    """Keys of the classes that a configuration chooses, of which the parser knows nothing until they are chosen."""
    classes = {f"model.{key}": kinds() for key, kinds in CHOSEN.items()} | {"evaluation.plans": [EvaluationPlan]}
    return [
        f"{section}.{name}" if section == "evaluation.plans" else f"{section}.init_args.{name}"
        for section, kinds in classes.items()
        for kind in kinds
        for name in settings(kind)
    ]


def concrete(kind: type) -> list[type]:
    """The classes below one that can be built, those of subclasses too."""
    found: list[type] = []
    below: type
    for below in kind.__subclasses__():
        found += [below, *concrete(below)]
    return [c for c in found if not inspect.isabstract(c)]


def settings(kind: type) -> list[str]:
    """Names of what a class is configured by, with those that it hands on to the classes it is made of."""
    names = [
        parameter.name
        for level in kind.__mro__
        if "__init__" in vars(level) and level is not object
        for parameter in inspect.signature(level).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    return list(dict.fromkeys(names))
