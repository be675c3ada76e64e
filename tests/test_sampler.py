"""The order of training: the same for any number of processes, resumable, fair to lengths and weights."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.datasets import made_codes, make_dataset

from josiecodec.datasets.dataset import TokenDataset
from josiecodec.datasets.sampler import MixedDataset, TokenSampler, permuted
from josiecodec.errors import CodesError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> TokenDataset:
    return make_dataset(tmp_path_factory.mktemp("tokens") / "d", made_codes(50))


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
def test_permutations_are_permutations(size, key):
    found = permuted(np.arange(size, dtype=np.uint64), size, np.uint64(key))
    assert sorted(found.tolist()) == list(range(size))


def test_permutations_look_random():
    orders = [permuted(np.arange(1000, dtype=np.uint64), 1000, np.uint64(k)).astype(float) for k in range(40)]
    assert abs(np.mean([np.corrcoef(o, np.arange(1000))[0, 1] for o in orders])) < 0.02
    assert abs(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(orders, orders[1:])])) < 0.02  # noqa: RUF007
    assert np.std([o[0] for o in orders]) > 200


@pytest.mark.parametrize("frames", [None, 8])
def test_the_order_does_not_depend_on_the_number_of_processes(dataset, frames):
    alone = TokenSampler(dataset, frames, seed=3)
    epoch = list(alone)
    second = list(alone)
    assert len(epoch) == len(second) == (50 if frames is None else int(dataset.lengths.sum()) // 8)
    assert epoch != second
    if frames is None:
        assert sorted(epoch) == sorted(second) == list(range(50))
    for world in (2, 3):
        parts = [list(TokenSampler(dataset, frames, 3, rank, world)) for rank in range(world)]
        together: list = [None] * len(epoch)
        for rank, part in enumerate(parts):
            together[rank::world] = part
        assert together == epoch
    even = [len(list(TokenSampler(dataset, frames, 3, r, 7, drop_last=True))) for r in range(7)]
    assert len(set(even)) == 1


@pytest.mark.parametrize("frames", [None, 8])
def test_a_run_goes_on_with_other_processes_where_it_stopped(dataset, frames):
    whole = TokenSampler(dataset, frames, seed=3)
    order = list(whole) + list(whole)
    epoch = len(order) // 2
    first = [TokenSampler(dataset, frames, 3, rank, 3) for rank in range(3)]
    for sampler in first:
        given = iter(sampler)
        for _ in range(9):  # nine were handed out, five of them used
            next(given)
    states = [json.loads(json.dumps(s.state_dict(used=5))) for s in first]
    assert states[0] == states[1] == states[2]
    second = [TokenSampler(dataset, frames, 99, rank, 2) for rank in range(2)]
    for rank, sampler in enumerate(second):
        sampler.load_state_dict(states[0])
        rest = list(sampler)
        assert rest == order[15:epoch][rank::2]
        assert list(sampler) == order[epoch:][rank::2]
    assert whole.state_dict() == {**whole.state_dict(), "epoch": 2, "position": 0}


@pytest.mark.parametrize("drop_last", [False, True])
def test_all_processes_agree_where_an_epoch_ends(tmp_path, drop_last):
    ten = make_dataset(tmp_path, made_codes(10), 1)
    whole = TokenSampler(ten, seed=3)
    order = list(whole) + list(whole)
    samplers = [TokenSampler(ten, seed=3, rank=rank, world_size=3, drop_last=drop_last) for rank in range(3)]
    for sampler in samplers:
        given = iter(sampler)
        for _ in range(3):
            next(given)
    states = [s.state_dict() for s in samplers]
    assert [(s["epoch"], s["position"]) for s in states] == [(1, 0) if drop_last else (0, 9)] * 3
    for rank in range(3):
        again = TokenSampler(ten, rank=rank, world_size=3, drop_last=drop_last)
        again.load_state_dict(states[rank])
        if not drop_last:
            assert len(again) == (rank == 0)
            assert list(again) == order[9:10][rank:]
        assert len(again) == (3 if drop_last else (4, 3, 3)[rank])
        assert list(again) == order[10 : 19 if drop_last else 20][rank::3]
        assert again.state_dict()["epoch"] == (2 if drop_last or not rank else 1)


def test_the_end_of_an_epoch_is_the_beginning_of_the_next(dataset):
    sampler = TokenSampler(dataset, seed=1)
    assert list(sampler)
    assert sampler.state_dict(used=49)["position"] == 49  # a loader has one more waiting
    again = TokenSampler(dataset)
    again.load_state_dict(sampler.state_dict())
    assert list(again) == list(sampler)
    with pytest.raises(CodesError, match="frames"):
        TokenSampler(dataset, 8).load_state_dict(sampler.state_dict())


def test_crops_are_drawn_by_length_and_weight(tmp_path):
    a = make_dataset(tmp_path / "a", [np.zeros((n, 4), int) for n in (10, 30, 4)], 1)
    b = make_dataset(tmp_path / "b", [np.ones((20, 4), int)], 1)
    mixed = MixedDataset([a, b], weights=[1, 3])
    sampler = TokenSampler(mixed, 8, drop_short=True)
    crops = [crop for _ in range(700) for crop in sampler]
    counts = Counter(c.clip for c in crops)
    shares = [counts[i] / len(crops) for i in range(4)]
    assert np.allclose(shares, [0.0625, 0.1875, 0, 0.75], atol=0.015)
    starts = Counter(c.start for c in crops if c.clip == 3)
    assert set(starts) == set(range(13))
    assert max(starts.values()) < 1.4 * min(starts.values())
    assert all(mixed[c].shape == (8, 4) and (mixed[c] == (c.clip == 3)).all() for c in crops[:50])
    for kept in (MixedDataset([a, b]), a):
        assert {len(kept[c]) for _ in range(30) for c in TokenSampler(kept, 8)} <= {4, 8}
    assert mixed[3].meta == b[0].meta
    assert mixed.meta(-1 + len(mixed)) == b.meta(0)
    for bad in ([1], [0, 0], [1, -1], [1, float("inf")]):
        with pytest.raises(CodesError):
            MixedDataset([a, b], bad)
    with pytest.raises(CodesError, match="no clip has"):
        TokenSampler(a, 31, drop_short=True)
    for bad_call in ({"frames": 0}, {"rank": 1}, {"world_size": 0}):
        with pytest.raises(CodesError):
            TokenSampler(a, **bad_call)


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_of_torch_take_it(dataset, workers):
    sampler = TokenSampler(dataset, 4, seed=5, drop_short=True)
    loader = torch.utils.data.DataLoader(dataset, 16, sampler=sampler, num_workers=workers)
    batches = list(loader)
    assert batches[0].shape == (16, 4, 4)
    expected = np.stack([dataset.crop(*c) for c in TokenSampler(dataset, 4, seed=5, drop_short=True)])
    assert np.array_equal(torch.cat(batches).numpy(), expected)
