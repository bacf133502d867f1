"""Checks of the accelerator itself: what it computes, refuses and counts. ``test_accelerator_device.py`` runs them.

python -m tests.accelerator.device_checks       # prints a JSON object: name of a check -> null, or the traceback

A process that has had the device keeps it, hence one of its own; a check is a function whose name begins with ``check_``.
"""

import copy
import io
import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lit_rlvr.models.loading import load_model, load_tokenizer
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from tests.accelerator import device
from tests.accelerator.counts import Counts, counted
from tests.accelerator.device_module import KIND

STEP_CALLS = 93
"""Calls of the device per decoded token of the tiny policy's three layers, at most: as many as there were when this was written,
about 26 a layer. A change that needs more of them raises this, with its reason; one that needs fewer lowers it."""

LOOK_WAITS = 1
"""Waits for the device per look at which rows have ended, while none has; there is one look every 8 tokens."""


def on_device() -> torch.device:
    """The device."""
    return torch.device(KIND, 0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers on the CPU."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def deterministic() -> Iterator[None]:
    """Ask for deterministic algorithms within the block."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def both(compute: Callable[[Tensor, str], list[Tensor]], data: Tensor) -> None:
    """The same to the last bit on device and CPU, dtypes included."""
    here, there = compute(data, "cpu"), compute(data.to(on_device()), KIND)
    for place, (a, b) in enumerate(zip(here, there, strict=True)):
        assert b.device == on_device()
        assert a.dtype == b.dtype, place
        assert torch.equal(a, b.cpu()), place


def small_model(seed: int = 0) -> nn.Module:
    """Two layers with a bias each, always the same ones."""
    model = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(drawn(*parameter.shape, seed=seed))
    return model


# ------------------------------------------------------------------------------------------------------ what it computes


def check_factories_make_tensors_of_the_device() -> None:
    with torch.device(KIND):
        made = [
            torch.arange(5),
            torch.eye(3),
            torch.tensor([1.0]),
            torch.full((2,), 3.0),
            torch.empty(0),
            torch.randn(2),
        ]
        assert torch.tensor([1.0], device="cpu").device.type == "cpu"
    assert {tensor.device for tensor in made} == {on_device()}
    assert made[0].tolist() == [0, 1, 2, 3, 4]
    assert nn.Linear(2, 2, device=KIND).weight.device == on_device()


def check_its_random_numbers_are_its_own() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = torch.randn(4, device=KIND)
    dropped = F.dropout(torch.ones(100, device=KIND), 0.5)
    assert torch.equal(torch.get_rng_state(), state)
    assert 20 < int((dropped == 0).sum()) < 80
    assert not torch.equal(first.cpu(), torch.randn(4))
    torch.manual_seed(3)
    assert torch.equal(torch.randn(4, device=KIND).cpu(), first.cpu())
    kept = torch.get_device_module(KIND).get_rng_state()
    again = torch.randn(4, device=KIND)
    torch.get_device_module(KIND).set_rng_state(kept)
    assert torch.equal(torch.randn(4, device=KIND).cpu(), again.cpu())


def check_views_share_their_numbers() -> None:
    data = torch.zeros(4, 6, device=KIND)
    data[:, 1:3].add_(1)
    data.view(6, 4)[0, 0] = 5
    data.t()[5].copy_(torch.ones(4))
    assert data.cpu()[0].tolist() == [5, 1, 1, 0, 0, 1]
    data.unsqueeze(0).mul_(2)
    assert data[0, 0].item() == 10


def check_a_module_moves_with_its_parameters_the_same_objects() -> None:
    model = small_model()
    model[2].weight.data = model[2].weight.data.clone()
    tied = nn.ModuleList([model, nn.Linear(8, 16)])
    tied[1].weight = model[0].weight
    before = [id(parameter) for parameter in tied.parameters()]
    tied.to(on_device())
    assert [id(parameter) for parameter in tied.parameters()] == before
    assert tied[1].weight is model[0].weight
    assert all(isinstance(p, nn.Parameter) and p.device == on_device() and p.is_leaf for p in tied.parameters())
    assert all(p.device.type == "cpu" for p in tied.cpu().parameters())


def check_attention_and_its_gradient() -> None:
    mask = torch.ones(6, 6, dtype=torch.bool).tril()

    def attend(data: Tensor, kind: str) -> list[Tensor]:
        found = []
        for settings in ({"is_causal": True}, {"attn_mask": mask.to(data.device)}, {"scale": 0.3}):
            query, key, value = (part.clone().requires_grad_() for part in data)
            mixed = F.scaled_dot_product_attention(query, key, value, **settings)
            mixed.square().sum().backward()
            found += [mixed.detach(), query.grad, key.grad, value.grad]
        grouped = F.scaled_dot_product_attention(data[0], data[1, :, :1], data[2, :, :1], enable_gqa=True)
        with torch.inference_mode():
            return [*found, grouped, F.scaled_dot_product_attention(*data, is_causal=True)]

    both(attend, drawn(3, 2, 4, 6, 8))


def check_autocast_and_its_gradients() -> None:
    """In bfloat16, with weights that are used twice, without gradients before, and every operator of the rules that we call."""

    def compute(data: Tensor, kind: str) -> list[Tensor]:
        model = small_model().to(data.device)
        data = data.clone().requires_grad_()
        with torch.autocast(kind, torch.bfloat16):
            with torch.no_grad():
                first = model(data)
            once = model(data)
            twice = once + model(once)
            products = [data @ data.T, F.linear(data, model[0].weight), torch.bmm(data[None], data.T[None])]
            products += [
                torch.linalg.vecdot(data, data),
                torch.baddbmm(data.new_zeros(1, 4, 4), data[None], data.T[None]),
            ]
            promoted = [torch.cat((twice, data)), torch.stack((twice, data)), F.mse_loss(once, data)]
            untouched = [twice.sum(), twice.softmax(-1), F.silu(twice), F.layer_norm(twice, (8,))]
            with torch.autocast(kind, enabled=False):
                plain = model(data)
        (twice.float().square().sum() + plain.sum()).backward()
        gradients = [p.grad for p in model.parameters()]
        outs = [out.detach() for out in (first, twice, *products, *promoted, *untouched, plain)]
        return [*outs, data.grad, *gradients]

    both(compute, drawn(4, 8))
    assert small_model().to(on_device())(drawn(4, 8).to(KIND)).dtype == torch.float32


def check_autocast_refuses_what_it_has_no_rule_for() -> None:
    with torch.autocast(KIND, torch.bfloat16), pytest.raises(NotImplementedError, match="no rule for"):
        torch.linalg.inv(torch.eye(2, device=KIND))


def check_recomputed_activations() -> None:
    def compute(data: Tensor, kind: str) -> list[Tensor]:
        model = small_model().to(data.device)
        data = data.clone().requires_grad_()
        with torch.autocast(kind, torch.bfloat16):
            checkpoint(model, data, use_reentrant=False).float().sum().backward()
        return [data.grad, *(p.grad for p in model.parameters())]

    both(compute, drawn(4, 8))


def check_adamw() -> None:
    """One parameter after the other, all at once, and in one fused call, with the gradient clipped before."""
    for settings in ({"foreach": False}, {"foreach": True}, {"fused": True}, {}):

        def compute(data: Tensor, kind: str, settings: dict[str, bool] = settings) -> list[Tensor]:
            model = small_model().to(data.device)
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1, **settings)
            for _ in range(3):
                model(data).square().sum().backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=False)
                optimizer.step()
                optimizer.zero_grad()
            return [norm, *(p.detach() for p in model.parameters())]

        if settings:
            both(compute, drawn(4, 8))
        else:  # what is chosen by default is the quick way, as on CUDA
            with counted() as counts:
                compute(drawn(4, 8).to(KIND), KIND)
            assert counts.calls["_foreach_lerp_"] == 3


def check_files_hold_its_numbers() -> None:
    model = small_model().to(on_device())
    optimizer = torch.optim.AdamW(model.parameters())
    model(drawn(2, 8).to(KIND)).sum().backward()
    optimizer.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    for where in ("cpu", lambda storage, place: storage):
        file.seek(0)
        read = torch.load(file, map_location=where, weights_only=True)
        assert all(torch.equal(read["model"][name], value.cpu()) for name, value in model.state_dict().items())
    other = small_model(1).to(on_device())
    other.load_state_dict(read["model"])
    again = torch.optim.AdamW(other.parameters())
    again.load_state_dict(read["optimizer"])
    assert other[0].weight.device == again.state[other[0].weight]["exp_avg"].device == on_device()
    twin = copy.deepcopy(other)
    with torch.no_grad():
        twin[0].weight.zero_()
    assert float(other[0].weight.abs().sum()) > 0


# ------------------------------------------------------------------------------------------------------ what it refuses

TWO_DEVICES = "Expected all tensors to be on the same device"


def check_two_devices_in_one_operator_are_refused() -> None:
    ours, cpu = torch.ones(4, 4, device=KIND), torch.ones(4, 4)
    for mistake in (
        lambda: ours + cpu,
        lambda: cpu + ours,
        lambda: ours @ cpu,
        lambda: torch.cat((ours, cpu)),
        lambda: torch.where(cpu > 0, ours, ours),
        lambda: ours.gather(1, torch.zeros(4, 1, dtype=torch.int64)),
        lambda: ours.index_select(0, torch.tensor([1])),
        lambda: F.embedding(torch.tensor([1]), ours),
        lambda: F.scaled_dot_product_attention(ours[None, None], cpu[None, None], cpu[None, None]),
        lambda: ours.masked_fill(cpu > 0, 1.0),
        lambda: torch.stack((ours[0, 0], torch.tensor(1.0))),
        lambda: torch.tensor(1.0).add_(ours[0, 0]),
        lambda: cpu + torch.tensor(1.0, device=KIND),
    ):
        with pytest.raises(RuntimeError, match=TWO_DEVICES):
            mistake()


def check_numbers_and_subscripts_from_the_cpu_are_taken() -> None:
    ours, one = torch.ones(4, 4, device=KIND), torch.tensor(2.0)
    assert (ours * one).sum().item() == 32
    assert (one - ours).device == on_device()
    assert torch.where(ours > 0, one, ours).sum().item() == 32
    assert ours.add_(one).sum().item() == 48
    assert ours[torch.tensor([1, 2])].shape == (2, 4)
    assert ours[torch.tensor([True, False, False, True])].shape == (2, 4)
    ours[torch.tensor([1])] = one
    ours[0].copy_(torch.zeros(4))
    assert ours.sum().item() == 32


def check_subscripts_of_the_cpu_are_not_of_the_device() -> None:
    cpu, ours = torch.ones(4), torch.ones(4, device=KIND)
    with pytest.raises(RuntimeError, match="indices should be either on cpu"):
        cpu[torch.tensor([1], device=KIND)]
    with pytest.raises(RuntimeError, match="expected the values"):
        ours[torch.tensor([1, 2], device=KIND)] = cpu[:2]


def check_generators_of_the_cpu_are_refused() -> None:
    generator = torch.Generator()
    with torch.device(KIND):
        for draw in (
            lambda: torch.randn(2, generator=generator),
            lambda: torch.randint(3, (2,), generator=generator),
            lambda: torch.randperm(3, generator=generator),
            lambda: torch.multinomial(torch.ones(3), 1, generator=generator),
        ):
            with pytest.raises(RuntimeError, match=f"Expected a '{KIND}' device type for generator but found 'cpu'"):
                draw()
    assert torch.randn(2, generator=generator).device.type == "cpu"


def check_what_is_not_deterministic_is_refused() -> None:
    ours = drawn(4, 8).to(KIND)
    with deterministic():
        for call in (
            lambda: ours.cumsum(-1),
            lambda: ours.long().cumsum(-1, dtype=torch.float64),
            lambda: ours.kthvalue(2),
            lambda: torch.bincount(torch.tensor([1, 2], device=KIND), weights=ours[0, :2]),
        ):
            with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
                call()
        assert ours.long().cumsum(-1).shape == ours.shape
        assert drawn(4, 8).cumsum(-1).shape == (4, 8)
        torch.use_deterministic_algorithms(True, warn_only=True)
        ours.cumsum(-1)


def check_it_gives_no_arrays() -> None:
    with pytest.raises(TypeError, match="can't convert"):
        torch.ones(2, device=KIND).numpy()


# ------------------------------------------------------------------------------------------------------ what it counts


def found(work: Callable[[], Any]) -> Counts:
    """What some work asks for."""
    with counted() as counts:
        work()
    return counts


def check_waits_and_copies_are_counted() -> None:
    ours = torch.arange(6.0, device=KIND)
    mask = ours > 2
    for work, waits, uploads in (
        (lambda: ours.sum().item(), 1, 0),
        (lambda: bool(mask.any()), 1, 0),
        (lambda: float(ours[0]), 1, 0),
        (ours.tolist, 1, 0),
        (ours.cpu, 1, 0),
        (lambda: ours.to("cpu"), 1, 0),
        (lambda: torch.zeros(6).copy_(ours), 1, 0),
        (mask.nonzero, 1, 0),
        (lambda: ours[mask], 1, 0),
        (lambda: ours.masked_select(mask), 1, 0),
        (lambda: ours.repeat_interleave(mask.long()), 1, 0),
        (lambda: torch.equal(ours, ours), 1, 0),
        (torch.get_device_module(KIND).synchronize, 1, 0),
        (lambda: torch.zeros(3).to(KIND), 0, 1),
        (lambda: torch.tensor([1], device=KIND), 0, 1),
        (lambda: ours[torch.tensor([1])], 0, 1),
        (lambda: ours.copy_(torch.zeros(6)), 0, 1),
        (lambda: ours.masked_fill_(mask, 0.0), 0, 0),
        (lambda: ours[1:3].add_(1).to(torch.float64), 0, 0),
        (lambda: torch.full((3,), 2.0, device=KIND), 0, 0),
    ):
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                counts = found(work)
            assert (counts.waits.total(), counts.uploads) == (waits, uploads), (waits, uploads, mode, counts)


def check_calls_are_counted_and_views_are_not() -> None:
    ours = torch.ones(4, 4, device=KIND)
    assert found(lambda: (ours @ ours).add_(1)).calls == {"mm": 1, "add_": 1}
    assert found(lambda: ours.view(2, 8)[:, 1:].transpose(0, 1).detach()[None]).calls == {}
    assert found(lambda: torch.empty(3, device=KIND)).calls == {}


# ------------------------------------------------------------------------------------------------------ the engine on it


def _decoded(policy: str, tokens: int) -> Counts:
    """What the engine asks for while it decodes that many tokens of each of six responses."""
    tokenizer = load_tokenizer("checkpoints/tiny-base")
    model = load_model(policy, tokenizer)
    engine = TransformersEngine(dtype="float32")
    engine.setup(model.to(on_device()), tokenizer, on_device())
    with counted() as counts:
        rollouts = engine.generate([(3, 4, 5)], Sampling(n=6, temperature=0.6, max_tokens=tokens), seed=1)
    assert (
        rollouts.lengths.tolist() == [tokens] * 6
    )  # a random model seldom ends; a shorter response would be no measure
    return counts


def check_decoding_a_token_copies_nothing_and_waits_for_nothing() -> None:
    """Only each look at which rows have ended waits, and there is one every 8 tokens."""
    short, long = _decoded("random:qwen2", 8), _decoded("random:qwen2", 40)
    more = long.since(short)
    assert more.uploads == 0, more
    assert 0 < more.waits.total() <= LOOK_WAITS * (40 - 8) // 8, more.waits


def check_calls_per_token_stay_within_their_bound() -> None:
    short, long = _decoded("checkpoints/tiny-base", 4), _decoded("checkpoints/tiny-base", 7)
    per_token = long.since(short).calls.total() / 3
    assert per_token <= STEP_CALLS, f"{per_token} calls per token: {long.since(short).calls}"


CHECKS = [name for name in globals() if name.startswith("check_")]


def main() -> dict[str, str | None]:
    """Do all checks; name -> what went wrong."""
    device.install()
    results: dict[str, str | None] = {}
    for name in CHECKS:
        try:
            globals()[name]()
            results[name] = None
        except BaseException:
            results[name] = traceback.format_exc()
    return results


if __name__ == "__main__":
    print(json.dumps(main()))
