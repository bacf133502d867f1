"""The scale of the loss in float16, whose gradients would otherwise vanish below 6e-8: taken over from Lightning.

Lightning unscales inside each optimizer's step, which is after the update has measured and clipped the gradient, and moves the
scale once for each optimizer, so that PPO's critic would be unscaled by another number than it was scaled by.
"""

from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from torch.amp import GradScaler

UNSCALED = GradScaler("cpu", enabled=False)
"""Of every other precision: scales by 1 and has no state."""


def take_scaler(plugin: Precision) -> GradScaler:
    """Take the scaler out of Lightning's plugin: from here on it is the update that scales, unscales and moves the scale.

    Args:
        plugin: the trainer's; of ``16-mixed`` it has a scaler.

    Returns:
        The scaler, or one that does nothing.
    """
    if not isinstance(plugin, MixedPrecision) or plugin.scaler is None:
        return UNSCALED
    scaler, plugin.scaler = plugin.scaler, None
    return scaler


def restore_scaler(scaler: GradScaler, state: dict[str, float]) -> None:
    """Go on from a scaler's state; that of a run in another precision is empty and changes nothing."""
    if state:
        scaler.load_state_dict(state)
