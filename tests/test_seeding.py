"""Seeds: pure functions of place, never shared between places."""

import itertools

import torch

from lit_rlvr.seeding import sample_uniforms, step_seed


def test_seeds_differ_wherever_the_place_differs() -> None:
    places = list(itertools.product(range(3), range(20), range(4), ("rollout", "reward", "tiny500")))
    assert len({step_seed(*place) for place in places}) == len(places)
    assert all(0 <= step_seed(*place) < 2**63 for place in places)


def test_seeds_are_the_same_in_every_process() -> None:
    assert step_seed(0, 0) == 2961070566108690483


def test_a_sample_draws_the_same_in_any_batch() -> None:
    together = sample_uniforms(7, [0, 1, 2, 3], 16)
    apart = torch.cat([sample_uniforms(7, [i], 16) for i in (2, 0)])
    assert torch.equal(together[[2, 0]], apart)
    assert ((together >= 0) & (together < 1)).all()
    assert len(together.unique()) == together.numel()


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    sample_uniforms(1, [0, 1], 4)
    assert torch.equal(before, torch.random.get_rng_state())
