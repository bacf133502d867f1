"""Register the strategies the RL step runs under, DDP and FSDP2 (``fsdp2``), and refuse those it cannot, with a sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, Strategy, StrategyRegistry
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lit_rlvr.errors import UserError


class Elsewhere(NamedTuple):
    """A setting of Lightning's that another key decides here.

    Attributes:
        idle: the values that change nothing.
        instead: what to use.
    """

    idle: tuple[float, ...]
    instead: str


_LENGTH = "data.rl_steps for the length of a run"
ELSEWHERE = {
    "max_epochs": Elsewhere((1,), _LENGTH),  # 0 would train nothing, and say so nowhere
    "max_steps": Elsewhere((-1,), _LENGTH),
    "limit_train_batches": Elsewhere((1.0,), _LENGTH),
    "overfit_batches": Elsewhere((0.0,), "data.select for fewer problems"),
    "gradient_clip_val": Elsewhere((), "model.update.max_grad_norm"),
    "accumulate_grad_batches": Elsewhere((1,), "model.update.micro_batch_tokens and model.update.updates_per_rollout"),
}


class DDPInBuckets(DDPStrategy):
    """DDP whose gradients are views of its buckets from the first backward pass on: 4 bytes a parameter instead of 8.

    DDP makes its buckets when it wraps the model, and makes views of the gradients that are there by then. Those that come later
    it would hold twice until it has copied them, which is when activations are largest. So that they stay views, ``zero_grad``
    must not drop them (``Parallel.drops_gradients``).
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("gradient_as_bucket_view", True)
        super().__init__(**kwargs)
        self._views: list[tuple[nn.Parameter, Tensor]] = []

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in trained:
            parameter.grad = torch.zeros_like(parameter)
        wrapped = super()._setup_model(model)
        self._views = [(parameter, parameter.grad) for parameter in trained if parameter.grad is not None]
        if self.root_device.type != "cpu":
            # On a GPU Lightning wraps on a stream of its own, which did not wait for the zeros, nor does this one for it.
            torch.get_device_module(self.root_device).synchronize()
        return wrapped

    def on_train_start(self) -> None:
        """Put the gradients back, as zeros: the trainer has set them to None in between."""
        for parameter, view in self._views:
            parameter.grad = view.zero_()
        self._views = []


def gradients_are_views(strategy: Strategy) -> bool:
    """Whether gradients are views of DDP's buckets, which are there all the time."""
    return isinstance(strategy, DDPStrategy) and bool(strategy._ddp_kwargs.get("gradient_as_bucket_view"))


class FSDP2Strategy(ModelParallelStrategy):
    """Fully sharded data parallelism over all processes.

    Lightning's own default sizes mean tensor parallelism within a node and no sharding of data there; the sizes are only
    known once the cluster is, hence the override of the moment just before they are used.
    """

    def __init__(self, **kwargs: Any) -> None:
        # One file on rank 0, readable by any number of processes; a sharded folder is not written atomically.
        kwargs.setdefault("save_distributed_checkpoint", False)
        super().__init__(data_parallel_size=1, tensor_parallel_size=1, **kwargs)

    def _configure_launcher(self) -> None:
        # Lightning gives a launcher to the first process alone; but it is the launcher that sets the number of threads,
        # without which every other process takes all the cores. DDP has one everywhere.
        assert self.cluster_environment is not None
        self._launcher = _SubprocessScriptLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Lightning loads the weights here, before the module can look at them."""
        try:
            return super().load_checkpoint(checkpoint_path, weights_only)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(
                f"The checkpoint {checkpoint_path} holds other parameters than model.policy: resume with the configuration "
                "of the run that wrote it."
            ) from error


def register() -> None:
    """Make ``--trainer.strategy fsdp2`` known to Lightning, and ``ddp`` mean ours; may be called again."""
    if "fsdp2" not in StrategyRegistry:
        StrategyRegistry.register("fsdp2", FSDP2Strategy, description="FSDP2 over all processes")
        StrategyRegistry.register("ddp", DDPInBuckets, description="DDP, gradients in its buckets", override=True)


def refuse_unsupported(config: Mapping[str, Any]) -> None:
    """Raise ``UserError`` for trainer settings under which the RL step would crash or silently not learn.

    Args:
        config: the ``trainer`` section: ``strategy``, ``precision``, ``devices`` and ``num_nodes`` are looked at.
    """
    strategy, precision = config.get("strategy"), str(config.get("precision"))
    if (isinstance(strategy, str) and strategy.startswith("fsdp") and strategy != "fsdp2") or _is(
        strategy, FSDPStrategy
    ):
        raise UserError(
            f"trainer.strategy is {strategy!r}: FSDP1 cannot run several updates inside one training step; use fsdp2."
        )
    if isinstance(strategy, str) and strategy.startswith("deepspeed"):
        raise UserError(f"trainer.strategy is {strategy!r}, which is not supported; use ddp or fsdp2.")
    if precision in {"bf16-true", "16-true"}:
        raise UserError(
            f"trainer.precision is {precision}: updates of a learning rate like 1e-6 round away in 16-bit weights; "
            "use bf16-mixed, which keeps float32 master weights."
        )
    if precision in {"16-mixed", "16"}:
        if strategy == "fsdp2":
            raise UserError(f"trainer.precision is {precision}, which Lightning refuses under fsdp2; use bf16-mixed.")
        if _on_cpu(config.get("accelerator")):
            raise UserError(
                f"trainer.precision is {precision}, in place of which Lightning computes bf16-mixed on a CPU: say bf16-mixed."
            )
    for key, own in ELSEWHERE.items():
        if config.get(key) not in (None, *own.idle):
            raise UserError(f"trainer.{key} is {config[key]}, which plays no part here; use {own.instead}.")
    devices, nodes = config.get("devices"), config.get("num_nodes") or 1
    if str(devices).isdigit() and TorchElasticEnvironment.detect():
        started = TorchElasticEnvironment().world_size()
        if started != int(str(devices)) * nodes:  # with one device, each would train by itself, in the same folder
            raise UserError(
                f"torchrun started {started} processes, and trainer.devices {devices} times trainer.num_nodes {nodes} is "
                "another number: set trainer.devices to torchrun's --nproc-per-node and trainer.num_nodes to its --nnodes."
            )


def _on_cpu(accelerator: Any) -> bool:
    return accelerator == "cpu" or (accelerator in {None, "auto"} and not torch.accelerator.is_available())


def _is(strategy: Any, kind: type[Strategy]) -> bool:
    path = strategy.get("class_path", "") if isinstance(strategy, Mapping) else ""
    return isinstance(strategy, kind) or str(path).rsplit(".", 1)[-1] == kind.__name__
