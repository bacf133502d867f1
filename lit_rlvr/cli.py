"""The `lit-rlvr` command: fit and plan from a configuration. The commands beside them are in `commands.py`.

A mistake of the user's ends in one sentence on the error stream and a status other than 0; set LIT_RLVR_TRACEBACK=1 to
see where it was noticed.
"""

import os
import sys
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn

from jsonargparse import Namespace
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

from lit_rlvr import __version__
from lit_rlvr.algorithms import ppo, reinforce  # noqa: F401  # so that configurations can name their classes
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.callbacks.advice import Advice
from lit_rlvr.callbacks.checkpoint import RLCheckpoint
from lit_rlvr.callbacks.evaluate import PeriodicEvaluation
from lit_rlvr.callbacks.history import AccuracyHistory
from lit_rlvr.callbacks.progress import RLProgressBar
from lit_rlvr.callbacks.samples import SampleLogger
from lit_rlvr.callbacks.summary import RunSummary
from lit_rlvr.callbacks.tracking import SaturationTracker
from lit_rlvr.commands import COMMANDS, call, leave
from lit_rlvr.config_files import ConfigFile, refuse_endless, refuse_nulls
from lit_rlvr.data.datamodule import OneShotDataModule, share
from lit_rlvr.doctor.command import examine
from lit_rlvr.doctor.patient import Patient
from lit_rlvr.errors import UserError, first_line
from lit_rlvr.files import run_folder
from lit_rlvr.mistakes import disk_error, explain, user_error
from lit_rlvr.models.export import read_checkpoint
from lit_rlvr.module import RLVRModule
from lit_rlvr.plan import make_plan, threads
from lit_rlvr.quiet import quieten
from lit_rlvr.resume import LAST, choose_checkpoint, enter
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import check_engine
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.run_lock import locked
from lit_rlvr.training import strategies
from lit_rlvr.training.interrupt import Interrupted
from lit_rlvr.trial import describe_speed, try_speed
from lit_rlvr.unbegun import no_trace_of_nothing

CLASS_DEFAULTS = {
    key: f"{kind.__module__}.{kind.__name__}"
    for key, kind in (("algorithm", GRPO), ("engine", TransformersEngine), ("reward", AnswerReward))
}
"""What the model is made of where the configuration does not say. Being imported here, these and their siblings can be
named in YAML without their module: `class_path: GRPO`."""

_BESIDE = "\n".join(f"  lit-rlvr {name:<8} {what}" for name, (_, what) in COMMANDS.items())
USAGE = f"""lit-rlvr {__version__}: reinforcement learning with a verifiable reward on one math problem

  lit-rlvr fit  --config FILE [--config FILE …] [--key value …]   train
  lit-rlvr plan --config FILE [--config FILE …] [--key value …]   say what `fit` would do, without doing it
  lit-rlvr doctor --config FILE …                                 try whether `fit` would do the right thing

{_BESIDE}

`lit-rlvr fit --help` lists every key, `--print_config` prints the configuration in full; so does `--help` for the others.
"""

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_epochs": 1,  # an epoch is the whole run: data.rl_steps batches
    "logger": {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": "runs", "name": "", "default_hp_metric": False},
    },
    "log_every_n_steps": 1,
    "num_sanity_val_steps": 0,
    "enable_checkpointing": True,
    "enable_model_summary": False,  # the plan says more
    "use_distributed_sampler": False,  # rows are split over ranks by the data module
}

SECTIONS = {
    "checkpoint": RLCheckpoint,
    "samples": SampleLogger,
    "history": AccuracyHistory,
    "saturation": SaturationTracker,
    "advice": Advice,
    "evaluation": PeriodicEvaluation,
}
"""Callbacks that every run has, each with a section of its own in the configuration. Evaluation comes after those that record
the step (and before checkpoints, which Lightning calls last): where it is interrupted, they have done theirs."""


class RLVRTrainer(Trainer):
    """Lightning's trainer with two more verbs.

    Attributes:
        begun_again: a run that came to no checkpoint is in the folder, and is begun again.
    """

    begun_again = False

    def fit(self, *arguments: Any, **settings: Any) -> None:
        """Train; a run that a mistake ends before it has begun leaves no folder behind. The folder is this run's alone."""
        try:
            with no_trace_of_nothing(self), locked(run_folder(self)) if self.is_global_zero else nullcontext():
                if self.is_global_zero:
                    checkpoint = settings.get("ckpt_path")
                    enter(run_folder(self), Path(checkpoint) if checkpoint else None, self.begun_again)
                super().fit(*arguments, **settings)
        except Exception as error:
            unwritten = disk_error(error)
            if unwritten is not None and unwritten.filename is None:  # of a file that was open already
                unwritten.filename = str(run_folder(self))
            raise

    def plan(self, model: LightningModule, datamodule: LightningDataModule | None = None) -> None:
        """Print what `fit` would do, without doing it."""
        assert isinstance(model, RLVRModule)
        assert isinstance(datamodule, OneShotDataModule)
        print(make_plan(model, datamodule, self).render(), flush=True)
        rows = datamodule.share(self.world_size)
        print(f"  speed       {describe_speed(try_speed(model, rows, self, threads(self)), model, rows)}")

    def doctor(
        self,
        model: LightningModule,
        datamodule: LightningDataModule | None = None,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> None:
        """Try whether a run is set up rightly, in a minute; the status is 1 where it is not.

        Args:
            model: of the run.
            datamodule: of the run.
            ckpt_path: looked at like `fit` does; the policy that is examined is model.policy all the same.
            weights_only: taken, as `fit` takes it.
        """
        assert isinstance(model, Patient)
        assert isinstance(datamodule, OneShotDataModule)
        failed = examine(model, datamodule, self).failed
        if failed and self.is_global_zero:  # Lightning would take the others' status for a crash
            sys.exit(1)


class _Parser(LightningArgumentParser):
    """Errors as `UserError`: one sentence, not a page of usage."""

    def parse_args(  # type: ignore[override]  # jsonargparse's own is
        self, args: Any = None, *others: Any, **settings: Any
    ) -> Namespace:
        """Not what the parser would think about for ever."""
        refuse_endless(args or ())
        return super().parse_args(args, *others, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise user_error(ex) or UserError(explain(message, self)) from ex


class RLVRCLI(LightningCLI):
    """LightningCLI with the classes of this package and the callbacks every run has."""

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        kwargs.setdefault("dump_header", [f"lit-rlvr {__version__}"])
        kwargs.setdefault("allow_abbrev", False)  # a key cut short is a key misspelt
        parser = _Parser(**kwargs)
        parser.add_argument("-c", "--config", action=ConfigFile, help="a YAML file; may be given again, later ones win")
        return parser

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {
            "fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule"},
            "plan": {"model", "datamodule"},
            "doctor": {"model", "datamodule"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for section, callback in SECTIONS.items():
            parser.add_lightning_class_args(callback, section)
        parser.set_defaults({f"model.{key}": {"class_path": name} for key, name in CLASS_DEFAULTS.items()})
        parser.add_argument(
            "--resume",
            type=Literal["auto", "never"],
            default="never",
            help="auto: go on with the newest run in the logger's folder from its newest whole checkpoint, if there is one",
        )
        parser.link_arguments("seed_everything", "model.seed", compute_fn=_seed)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=_seed)

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        if config.trainer.get("enable_progress_bar") is False:  # the Trainer refuses a bar that it is told not to have
            self.trainer_defaults["callbacks"] = [RunSummary()]
        refuse_nulls(self._parser(self.subcommand), config)
        strategies.refuse_unsupported(_plain(config.trainer))
        if str(config.trainer.devices).isdigit() and int(config.trainer.devices) and config.data.rows > 0:
            share(
                config.data.rows, int(config.trainer.devices) * config.trainer.num_nodes
            )  # before any process is started
        if self.subcommand == "fit":
            self.begun_again = choose_checkpoint(config)
        elif config.get("ckpt_path") not in (None, LAST):
            read_checkpoint(Path(config.ckpt_path))

    def before_fit(self) -> None:
        """The trainer takes the run's folder when it begins; what the engine lacks is said before any process is started."""
        check_engine(self.model.engine)
        assert isinstance(self.trainer, RLVRTrainer)
        self.trainer.begun_again = self.begun_again

    def instantiate_trainer(self, **settings: Any) -> Trainer:
        """Devices that are not there, a strategy or precision that is none: said with the keys they come from."""
        try:
            return super().instantiate_trainer(**settings)
        except (MisconfigurationException, ImportError, RuntimeError, TypeError, ValueError) as error:
            asked = self.config[self.subcommand].trainer
            keys = ("accelerator", "devices", "strategy", "precision")
            said = ", ".join(f"trainer.{key} {asked[key]}" for key in keys if isinstance(asked[key], str | int))
            raise UserError(
                f"there is no trainer with {said} here ({first_line(error).rstrip('.')}); mend these keys."
            ) from error

    def _parse_ckpt_path(self) -> None:
        """Lightning would look for constructor arguments in the checkpoint; ours come from the configuration alone."""


class ConfigOfTheRun(SaveConfigCallback):
    """Writes `config.yaml` when training starts: a run that never does must not write over that of another."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Not yet."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Everything is loaded, a checkpoint too."""
        super().setup(trainer, pl_module, "fit")


def _seed(value: bool | int | None) -> int:
    """The seed of the run's own streams; `seed_everything: true` leaves the choice to Lightning, and ours is then 0."""
    if value is not None and not 0 <= value < 1 << 32:
        raise UserError(f"seed_everything is {value}; use a whole number from 0 to {(1 << 32) - 1:,}.")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _plain(config: Any) -> dict[str, Any]:
    return config.as_dict() if isinstance(config, Namespace) else dict(config)


def run(arguments: list[str]) -> None:
    """Do what the command line says; every mistake in it is a `UserError`."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(USAGE)
        return
    if arguments[0] == "--version":
        print(__version__)
        return
    if arguments[0] in COMMANDS:
        call(arguments[0], arguments[1:])
    if arguments[0] not in RLVRCLI.subcommands():
        near = get_close_matches(arguments[0], [*RLVRCLI.subcommands(), *COMMANDS], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; `lit-rlvr --help` lists them."
        raise UserError(f"there is no command {arguments[0]!r}{hint}")
    strategies.register()
    quieten()
    RLVRCLI(
        Patient if arguments[0] == "doctor" else RLVRModule,
        OneShotDataModule,
        args=arguments,
        trainer_class=RLVRTrainer,
        trainer_defaults={**TRAINER_DEFAULTS, "callbacks": [RLProgressBar(), RunSummary()]},
        save_config_callback=ConfigOfTheRun,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        parser_kwargs={"default_env": False},
    )


def main() -> None:
    """Do what the command line says; see __main__.py."""
    try:
        run(sys.argv[1:])
    except Interrupted as stop:
        # The other processes leave quietly: Lightning kills all of them as soon as one that it started has failed.
        sys.exit(0 if stop.requeue or int(os.environ.get("LOCAL_RANK", 0)) else 128 + stop.signum)
    except Exception as error:
        leave(error)


if __name__ == "__main__":
    main()
