"""What the update needs to know of the processes it runs in: sums over them, when to synchronise, how to stay in step."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor

from lit_rlvr.training.strategies import gradients_are_views


@dataclass(frozen=True)
class Parallel:
    """The processes of a run.

    Attributes:
        strategy: Lightning's strategy.
        device: where this process' model is.
        world_size: number of processes.
        rank: this process' number.
    """

    strategy: Strategy
    device: torch.device
    world_size: int = 1
    rank: int = 0

    @property
    def sharded(self) -> bool:
        """Every forward pass is then a collective operation, so all ranks must make equally many."""
        return isinstance(self.strategy, ModelParallelStrategy)

    def sum(self, numbers: list[int]) -> list[int]:
        """Element-wise sum over ranks."""
        return [round(x) for x in self.reduce([float(n) for n in numbers])]

    def reduce(self, numbers: list[float], largest: bool = False) -> list[float]:
        """Element-wise sum (or maximum) over ranks, in float64."""
        if self.world_size == 1:
            return numbers
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX if largest else dist.ReduceOp.SUM)
        return tensor.tolist()

    def all(self, holds: bool) -> bool:
        """Whether it holds on every rank; all come to the same answer."""
        return self.reduce([float(not holds)], largest=True) == [0.0]

    def padded(self, batches: list[list[int]]) -> list[tuple[list[int], bool]]:
        """Micro-batches with a flag, True for real ones; under sharding all ranks get the same number of them.

        The fillers repeat the last micro-batch's shortest response and get weight 0.
        """
        real = [(chosen, True) for chosen in batches]
        if not self.sharded:
            return real
        most = int(self.reduce([float(len(batches))], largest=True)[0])
        return real + [(batches[-1][-1:], False)] * (most - len(batches))

    def synchronise(self, last: bool) -> AbstractContextManager[None]:
        """Average gradients over ranks in the backward pass within.

        DDP does it on the last micro-batch only: the number of earlier ones may then differ. FSDP2 does it on every one, for
        otherwise it would keep whole float32 gradients until then: 30 GB a rank for 7B parameters.
        """
        if isinstance(self.strategy, DDPStrategy) and not last:
            return self.strategy.block_backward_sync()
        return nullcontext()

    @property
    def drops_gradients(self) -> bool:
        """Whether ``zero_grad`` may free gradients; views of DDP's buckets are of memory that stays in any case."""
        return not gradients_are_views(self.strategy)

    def full(self, tensor: Tensor) -> Tensor:
        """A sharded tensor put together, any other as it is."""
        return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
