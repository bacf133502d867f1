"""`lit-rlvr evaluate`: a policy on benchmarks, alone as in training, and its responses scored again.

Reads the command line, puts policy, engine and folder together, and lets the evaluator do the work on one process or several.
"""

import json
import sys
import time
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed
import transformers
from jsonargparse import Namespace
from lightning.fabric import Fabric
from lightning.fabric.utilities import rank_zero_only
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lit_rlvr.commands import INTERRUPTED, CommandParser
from lit_rlvr.data.prompts import get_template
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.benchmarks import PRESETS, get_preset
from lit_rlvr.evaluation.evaluator import evaluate, prompts_of
from lit_rlvr.evaluation.folder import EvaluationFolder, Manifest, plan_to_json
from lit_rlvr.evaluation.held_out import Split
from lit_rlvr.evaluation.plan import EvaluationPlan, refuse_twins
from lit_rlvr.evaluation.rescore import rescore
from lit_rlvr.evaluation.table import render
from lit_rlvr.mistakes import explain, user_error
from lit_rlvr.models.any_policy import AnyPolicy, load_policy
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.rollout.engine import RolloutEngine, check_engine
from lit_rlvr.rollout.transformers_engine import TransformersEngine

OVERRIDES = ("limit", "samples", "temperature", "max_tokens", "template", "example", "split", "exclude", "rules")
"""Settings of a plan that the command line can change for all of them."""


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.rescore is not None:
        return _rescore(parser, options)
    if options.policy is None or options.output is None:
        raise UserError(
            "evaluate needs --policy and --output (or --rescore FOLDER alone); see `lit-rlvr evaluate --help`."
        )
    if options.devices < 1 or options.batch_responses < 1:
        raise UserError("--devices and --batch_responses must be at least 1.")
    built = parser.instantiate(options)
    check_engine(built.engine)
    plans = _plans(built)
    transformers.utils.logging.disable_progress_bar()
    policy = load_policy(options.policy, options.tokenizer)
    manifest: Manifest = {
        "policy": options.policy,
        "weights": policy.fingerprint(),
        "rl_step": policy.rl_step,
        "seed": options.seed,
        "engine": json.loads(json.dumps(options.engine.as_dict(), default=str)),
        "plans": [plan_to_json(plan) for plan in plans],
        "prompts": [_prompts(plan, policy) for plan in plans],
    }
    _note_foreign_templates(plans, policy)
    fabric = _fabric(options)
    folder = EvaluationFolder(options.output)
    rank_zero_only(folder.claim)(manifest)  # before further processes are started, so that a mistake is said once
    try:
        rows = _run(built, plans, policy, folder, fabric)
    except KeyboardInterrupt:
        rank_zero_only(print)("lit-rlvr: stopped; the same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    finally:
        folder.release()
        built.engine.close()
    rank_zero_only(print)(render(rows))
    return 0


def _run(
    options: Namespace, plans: list[EvaluationPlan], policy: AnyPolicy, folder: EvaluationFolder, fabric: Fabric
) -> list[dict[str, Any]]:
    """Evaluate what is not done yet; the rows of all plans."""
    todo = [plan for plan in plans if folder.row_of(plan) is None]
    if not todo:
        print(f"{folder.path} holds all of it already.")
        return folder.rows()
    fabric.launch()
    options.engine.setup(policy.model, policy.tokenizer, fabric.device)
    with Verifier() as verifier:
        for plan in todo:
            store = folder.store(plan, plan.problems(), fabric.global_rank)
            asked = len(plan.problems()) * plan.k
            if fabric.is_global_zero:
                there = f", {store.done:,} of {asked:,} responses are there" if store.done else ""
                print(f"{plan.describe()}{there}", flush=True)
            fabric.barrier()  # all have seen what is there
            clock = time.perf_counter()
            result = evaluate(
                plan,
                options.engine,
                policy.tokenizer,
                verifier,
                seed=options.seed,
                rl_step=policy.rl_step,
                rank=fabric.global_rank,
                world_size=fabric.world_size,
                progress=partial(_progress, plan.benchmark) if fabric.is_global_zero else None,
                batch_responses=options.batch_responses,
                keeper=store,
            )
            if fabric.is_global_zero:
                store.settle()
                row = {**result.row(), "seconds": round(time.perf_counter() - clock, 3)}
                rows = {(done["benchmark"], done["k"]): done for done in [*folder.rows(), row]}
                folder.write_rows([rows[key] for p in plans if (key := (p.benchmark, p.k)) in rows])
            fabric.barrier()
    if fabric.world_size > 1:
        torch.distributed.destroy_process_group()
    return folder.rows()


def _fabric(options: Namespace) -> Fabric:
    """The processes, not yet started."""
    strategy = "ddp" if options.devices > 1 else "auto"
    try:
        return Fabric(accelerator=options.accelerator, devices=options.devices, strategy=strategy)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        asked = f"--accelerator {options.accelerator} --devices {options.devices}"
        raise UserError(f"{asked} cannot be had here: {error}") from error


def _plans(options: Namespace) -> list[EvaluationPlan]:
    """What the command line asks for, its overrides applied."""
    given = [name for name in ("preset", "benchmark", "plans") if getattr(options, name)]
    if len(given) != 1:
        raise UserError(
            "Say what to evaluate with one of --preset, --benchmark and --plans; see `lit-rlvr evaluate --help`."
        )
    if options.preset:
        plans = [EvaluationPlan(name) for name in get_preset(options.preset)]
    else:
        plans = options.plans or [EvaluationPlan(name) for name in options.benchmark]
    changes = {name: value for name in OVERRIDES if (value := getattr(options, name)) is not None}
    if "rules" in changes:
        changes["rules"] = tuple(changes["rules"])
    plans = [replace(plan, **changes) for plan in plans]
    refuse_twins(plans, "evaluate")
    return plans


def _prompts(plan: EvaluationPlan, policy: AnyPolicy) -> str:
    """Fingerprint of a plan's prompts and gold answers.

    Raises:
        UserError: the model has too few positions for one of them.
    """
    problems = plan.problems()
    prompts = prompts_of(plan, problems, policy.tokenizer)
    positions = getattr(policy.model.config, "max_position_embeddings", None)
    longest, room = max(map(len, prompts)), plan.sampling.max_tokens
    if positions is not None and longest + room > positions:
        way = (
            f"set --max_tokens to at most {positions - longest}"
            if longest < positions
            else "the model cannot answer them all"
        )
        raise UserError(
            f"{plan.benchmark}: its longest prompt has {longest} tokens, which with {room} for the response exceeds the "
            f"model's {positions} positions: {way}."
        )
    return blake2b(repr((prompts, [p.answer for p in problems])).encode(), digest_size=8).hexdigest()


def _note_foreign_templates(plans: list[EvaluationPlan], policy: AnyPolicy) -> None:
    """Say so where a prompt is written with marks that the policy has never seen; it is no mistake, but seldom meant."""
    for name in dict.fromkeys(plan.settled()["template"] for plan in plans):
        for mark in get_template(name).stop:
            if len(policy.tokenizer(mark, add_special_tokens=False)["input_ids"]) > 1:
                rank_zero_only(print)(
                    f"lit-rlvr: note: {mark} of the prompt template {name} is no token of this policy; --template chat or "
                    "chat-plain uses its own chat template.",
                    file=sys.stderr,
                )


def _progress(benchmark: str, done: int, asked: int) -> None:
    """A line that is written over, where somebody is looking."""
    if sys.stderr.isatty():
        print(
            f"\r{benchmark}: {done:,} of {asked:,} responses",
            end="\r" if done < asked else "\n",
            file=sys.stderr,
            flush=True,
        )


def _rescore(parser: CommandParser, options: Namespace) -> int:
    others = parser.parse_args([])
    changed = [key for key in vars(others) if key not in ("rescore", "rules") and options[key] != others[key]]
    if changed:
        raise UserError(f"--rescore scores what was generated and takes no --{changed[0]}; only --rules goes with it.")
    with Verifier() as verifier:
        again = rescore(options.rescore, options.rules, verifier)
    for one in again:
        print(one.describe())
    print(render([one.after for one in again]))
    return 0


class _Parser(CommandParser):
    """Names the key and the nearest right one."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise user_error(ex) or UserError(explain(message, self)) from ex


def _parser() -> CommandParser:
    parser = _Parser(
        "evaluate",
        "Evaluate a policy on benchmarks. Rows go to OUTPUT/evaluations.jsonl, responses to OUTPUT/responses/; the same command "
        "given again goes on where it was stopped.",
    )
    add = parser.add_argument
    add(
        "--policy",
        type=str,
        default=None,
        help="a transformers folder, a hub id, a LoRA adapter's folder, or a .ckpt of a run",
    )
    add(
        "--output",
        type=Path | None,
        default=None,
        metavar="FOLDER",
        help="where to write; new, or of the same evaluation",
    )
    add("--preset", type=str, default=None, metavar="|".join(PRESETS), help="benchmarks that belong together")
    add("--benchmark", nargs="+", default=None, metavar="NAME", help="one or several of the registry")
    add(
        "--plans",
        type=list[EvaluationPlan],
        default=None,
        sub_configs=True,
        help="YAML or JSON list, or a file of it",
    )
    add("--limit", type=int, default=None, help="that many problems of each benchmark")
    add("--samples", type=int, default=None, help="responses per problem")
    add("--temperature", type=float, default=None, help="0 is greedy")
    add("--split", type=Split | None, default=None, help="development or test: a third of the questions, or the others")
    add("--exclude", type=str | None, default=None, help="problems that were trained on, as data.source names them")
    add("--example", type=str | None, default=None, help="a worked example before every question")
    add("--max_tokens", type=int, default=None, help="response limit")
    add("--template", type=str, default=None, help="prompt template")
    add(
        "--rules",
        nargs="+",
        default=None,
        metavar="RULE",
        help="score by these, too: deepscaler, qwen, exact/flexible …",
    )
    add("--seed", type=int, default=0, help="of the draws")
    engine = {"class_path": f"{TransformersEngine.__module__}.{TransformersEngine.__name__}"}
    add("--engine", type=RolloutEngine, default=engine, help="what generates")
    add("--tokenizer", type=str, default=None, help="folder or hub id, instead of the policy's own")
    add("--devices", type=int, default=1, help="processes, a device each")
    add("--accelerator", type=str, default="auto", help="cpu, gpu …")
    add(
        "--batch_responses",
        type=int,
        default=512,
        help="greedy responses per engine call: what an interruption can cost",
    )
    add(
        "--rescore",
        type=Path | None,
        default=None,
        metavar="FOLDER",
        help="score the responses there again, without a model",
    )
    return parser
