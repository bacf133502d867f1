"""The device as an accelerator of Lightning: ``--trainer.accelerator fakegpu``, under ``auto``, ``ddp`` and ``fsdp2``.

From: ``device.py``. Where Lightning has the names of CUDA written down, this puts in those of the device.
"""

from typing import Any

import torch
from lightning.fabric.accelerators import ACCELERATOR_REGISTRY as FABRIC_ACCELERATORS
from lightning.fabric.connector import _Connector
from lightning.fabric.plugins.precision import MixedPrecision as FabricMixedPrecision
from lightning.fabric.strategies import DDPStrategy as FabricDDPStrategy
from lightning.pytorch.accelerators import Accelerator, AcceleratorRegistry
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.connectors.accelerator_connector import _AcceleratorConnector

from tests.accelerator import device
from tests.accelerator.device_module import KIND


class FakeGPUAccelerator(Accelerator):
    """One device per process: each of them calls its own number 0, as if it saw no other."""

    def setup_device(self, device: torch.device) -> None:
        """Refuse another device; there is nothing to prepare."""
        if device.type != KIND:
            raise RuntimeError(f"{device} is no {KIND}")

    def teardown(self) -> None:
        """There is nothing to give back."""

    @staticmethod
    def parse_devices(devices: Any) -> int:
        """Number of processes."""
        return int(devices)

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        """One for each process."""
        return [torch.device(KIND, 0)] * devices

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return KIND

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        return {}


def install() -> None:
    """Make device and accelerator known in this process."""
    device.install()
    for registry in (AcceleratorRegistry, FABRIC_ACCELERATORS):
        registry.register(KIND, FakeGPUAccelerator, description="computes on the CPU")
    for precision in (MixedPrecision, FabricMixedPrecision):
        _autocast_here(precision)
    for connector in (_Connector, _AcceleratorConnector):
        _single_device_here(connector)
    # With numbers of devices, Lightning makes a stream of CUDA's, and DDP copies inputs; without, the module's own are used.
    DDPStrategy.determine_ddp_device_ids = lambda self: None  # type: ignore[method-assign]
    FabricDDPStrategy._determine_ddp_device_ids = lambda self: None  # type: ignore[method-assign]


def _autocast_here(precision: Any) -> None:
    """Lightning knows autocast for the CPU and CUDA alone, and takes the latter for whatever is not the former."""
    built = precision.__init__

    def init(self: Any, kind: Any, device: str, scaler: Any = None) -> None:
        built(self, kind, KIND if device == "cuda" else device, scaler)

    precision.__init__ = init


def _single_device_here(connector: Any) -> None:
    """Nor does it know what an accelerator that it has not brought itself calls its device: it takes the CPU."""
    choose = connector._choose_strategy

    def chosen(self: Any) -> Any:
        strategy = choose(self)
        if self._accelerator_flag == KIND and not isinstance(strategy, str):
            strategy = type(strategy)(device=torch.device(KIND, 0))
        return strategy

    connector._choose_strategy = chosen
