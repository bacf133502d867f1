"""`lit-rlvr replay FILE`: one saved RL step by itself, and what in it is no number, or whether it comes out as it did.

From: a step that `training/guard.py` saved, and the run's configuration. To: plain text. The update is the run's own code on the
run's own parameters and moments; rollouts, rewards, advantages and reference log-probs are those of the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from lit_rlvr.cli import RLVRCLI, TRAINER_DEFAULTS, RLVRTrainer
from lit_rlvr.commands import CommandParser
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.errors import UserError
from lit_rlvr.module import RLVRModule
from lit_rlvr.quiet import quieten
from lit_rlvr.training import strategies
from lit_rlvr.training.finite import Finding, experience_tensors, find_all
from lit_rlvr.training.kept_step import KeptStep, digest, made_with, own_metrics, read_state
from lit_rlvr.training.loss_scaling import restore_scaler
from lit_rlvr.training.update import UpdateSums

SHOWN = 12
"""Parameters named whose gradient is not finite: the first say where it began, and all of them would fill the screen."""

ALONE = (
    "--trainer.devices", "1", "--trainer.num_nodes", "1", "--trainer.strategy", "auto", "--trainer.logger", "false",
    "--trainer.callbacks", "null", "--ckpt_path", "null",
)  # fmt: skip
"""What of the run's configuration is not for a step by itself."""

NUMERIC = ("accelerator", "precision", "deterministic", "benchmark")
"""Keys of the ``trainer`` section that the numbers depend on."""


class ReplayModule(RLVRModule):
    """A run's module that does one given RL step and nothing else.

    Attributes:
        kept: what to do.
        state: (parameters, optimizer states, scaler state) to start from.
        found: what its tensors hold, in the order in which they come about.
        sums: what came of the update.
        after: ``digest`` of the parameters after it.
    """

    kept: KeptStep
    state: tuple[dict[str, Tensor], list[dict[str, Any]], dict[str, float]]
    found: list[Finding]
    sums: UpdateSums
    after: str

    def _reference(self) -> Any:
        """Nobody asks it: the file has what it said."""

    def setup(self, stage: str) -> None:
        """There is nothing to refuse: the run has been through it."""

    def on_train_start(self) -> None:
        """Parameters and moments as they were."""
        parameters, optimizers, scaler = self.state
        try:
            self.load_state_dict(parameters, strict=self.strict_loading)
            for optimizer, state in zip(self.trainer.optimizers, optimizers, strict=True):
                if state:
                    optimizer.load_state_dict(state)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                "replay: the saved step has other parameters than this configuration asks for: give its run's with --config."
            ) from error
        restore_scaler(self.scaler, scaler)
        self.train()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """The update, of what is in the file."""
        experience = self.kept.experience
        self.found = find_all(
            [(f"parameter {name}", value) for name, value in self.saved_parameters().items()]
            + list(experience_tensors(experience).items())
        )
        self.sums = self.optimizer_steps(experience, self.kept.seed, self._look, self.kept.first)
        self.after = digest(self.saved_parameters())

    def _look(self, done: int, terms: Mapping[str, float]) -> None:
        """Each skipped optimizer step says what it has."""
        where = f"optimizer step {done}"
        gradients = [(f"{where}, gradient of {n}", p.grad) for n, p in self.named_parameters() if p.grad is not None]
        if terms:  # otherwise there was no forward pass
            self.found += find_all((f"{where}, {name}", torch.tensor(value)) for name, value in terms.items())
            self.found += find_all(gradients)

    def teardown(self, stage: str) -> None:
        """The engine has never been set up."""
        self.verifier.close()


class _ReplayCLI(RLVRCLI):
    """Takes what `fit` takes, and does not do it."""

    def fit(self, **_: Any) -> None:
        """What LightningCLI calls in place of the trainer's own."""


class _OneBatch(LightningDataModule):
    """A dataloader for Lightning's sake; the module has what it needs."""

    def train_dataloader(self) -> DataLoader[int]:
        return DataLoader([0])  # type: ignore[arg-type]


def main(arguments: list[str]) -> int:
    """Do what the command line says. Status 0 where all is finite and as it was, otherwise 1."""
    parser = CommandParser(
        "replay",
        "Do one saved RL step again: what in it is not finite, or whether it comes out as it did. After FILE may follow "
        "--config FILE and keys as for `lit-rlvr fit`; without --config the run's own config.yaml is taken.",
        usage="lit-rlvr replay FILE [--config FILE …] [--key value …]",
    )
    parser.add_argument("file", type=Path, help="batches/rl_step=N/rank0.pt of a run")
    options = parser.parse_args(arguments[:1])
    module, trainer = _build(options.file, arguments[1:])
    trainer.fit(module, datamodule=_OneBatch())
    lines, well = report(module)
    print("\n".join(lines))
    return 0 if well else 1


def _build(path: Path, arguments: list[str]) -> tuple[ReplayModule, Trainer]:
    """The run's module with the step to do, and a trainer that computes as the run's did."""
    kept, state = KeptStep.read(path), read_state(path.parent)
    if not {"--config", "-c"} & {argument.partition("=")[0] for argument in arguments}:
        own = path.resolve().parents[2] / "config.yaml"
        if not own.is_file():
            raise UserError(
                f"replay: there is no {own} beside the saved step: give its run's configuration with --config."
            )
        arguments = ["--config", str(own), *arguments]
    strategies.register()
    quieten()
    cli = _ReplayCLI(
        ReplayModule,
        OneShotDataModule,
        args=["fit", *arguments, *ALONE],
        trainer_class=RLVRTrainer,
        trainer_defaults=TRAINER_DEFAULTS,
        save_config_callback=None,
        seed_everything_default=0,
        parser_kwargs={"default_env": False},
    )
    module = cli.model
    assert isinstance(module, ReplayModule)
    module.kept, module.state = kept, state
    given = {key: cli.config["fit"]["trainer"][key] for key in NUMERIC}
    trainer = Trainer(
        **given, devices=1, max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    return module, trainer


def report(module: ReplayModule) -> tuple[list[str], bool]:
    """What to print, and whether all is well: everything finite, and nothing else than in the run."""
    kept, sums = module.kept, module.sums
    computed = sums.logprobs[sums.computed]
    found = module.found + (find_all([("log-probs of the policy", computed)]) if len(computed) else [])
    bad = [finding for finding in found if finding.bad]
    again = f"{made_with(module.device)}; in the run {kept.made_with}"
    lines = [
        f"RL step {kept.rl_step}, process {kept.rank} of {kept.world_size}, {len(kept.experience.rollouts)} responses"
    ]
    if kept.first:
        lines.append(f"from its optimizer step {kept.first} on, as in the run before the first that was skipped")
    lines += _findings(found)
    if sums.skipped != kept.skipped:
        lines.append(
            f"Optimizer steps skipped: {sums.skipped}, in the run {kept.skipped}: not the same here ({again})."
        )
    elif bad or sums.skipped:
        lines.append(f"Optimizer steps skipped: {sums.skipped}, as in the run.")
    if not bad and not sums.skipped:
        metrics = own_metrics(kept.experience, sums, module.algorithm, module.parallel)
        table, same = _compared(kept.metrics, metrics)
        lines += table
        if kept.world_size > 1:
            lines.append(
                f"The run had {kept.world_size} processes, whose gradients came together: what was recorded after the first "
                "forward pass need not come out again from one of them, and is not held against it."
            )
            return lines, True
        same_after = module.after == kept.after
        lines.append(f"Parameters after the update: {'equal bit for bit' if same_after else 'not the same bits'}.")
        if not (same and same_after):
            lines.append(f"Not the same here: {again}.")
        return lines, same and same_after
    return lines, False


def _findings(found: list[Finding]) -> list[str]:
    """A line for each tensor, parameters and gradients summed up as long as they are finite."""
    lines, unnamed = [], 0
    many = [f for f in found if f.name.startswith("parameter ") or ", gradient of " in f.name]
    for finding in found:
        if finding not in many or finding.bad:
            if finding in many and (unnamed := unnamed + 1) > SHOWN:
                continue
            lines.append(f"  {finding.name}: {finding}")
    if unnamed > SHOWN:
        lines.append(f"  and {unnamed - SHOWN} more parameters or gradients that are not finite")
    whole = sum(not f.bad for f in many)
    return [*lines, f"  {whole} of {len(many)} parameters and gradients looked at are finite"]


def _compared(then: Mapping[str, float], now: Mapping[str, float]) -> tuple[list[str], bool]:
    """Both side by side, and whether they are equal bit for bit."""
    lines, same = [], then.keys() == now.keys()
    for name in dict.fromkeys([*then, *now]):
        a, b = then.get(name), now.get(name)
        same &= a == b
        verdict = "equal" if a == b else "only one has it" if a is None or b is None else f"differs by {abs(a - b):.2g}"
        lines.append(f"  {name:<32} {a!r:<24} {b!r:<24} {verdict}")
    return [f"  {'metric':<32} {'in the run':<24} {'now':<24}", *lines], same
