"""The context model: exact both ways, safe against any bytes, and worth its while."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import types

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.entropy import random_patches, random_tables
from kit.vision import CONV, model, scene

from josiecodec.entropy.code_tables import (
    EntropyTables,
    decode_frames,
    decode_patches,
    encode_frames,
    encode_patches,
    frame_bits,
    patch_bits,
)
from josiecodec.entropy.context_model import PASSES, ContextModel, coding_passes
from josiecodec.entropy.range_coder import RangeDecoder, RangeEncoder
from josiecodec.entropy.tables_file import read_tables, tables_bytes, with_context
from josiecodec.errors import FormatError, ModelError
from josiecodec.hub.store import load, save
from josiecodec.media.images import save_image
from josiecodec.settings import EncoderSettings, Rate
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.entropy.config import ContextConfig
from josiecodec.training.entropy.data import CodedGrid
from josiecodec.training.entropy.model import FloatContextModel, balanced_classes, mean_bits, to_integers
from josiecodec.training.entropy.trainer import make_tables, train_context_model
from josiecodec.training.entropy.warm_start import warm_start
from josiecodec.training.vision.data import Pictures

SIZE, LEVELS = 64, 3
SMALL = ContextConfig(levels=LEVELS, width=10, outer=16, hidden=16)


def books() -> torch.Tensor:
    """Codes on a closed curve, so that codes of like numbers are like."""
    turn = 2 * math.pi * torch.arange(SIZE)[:, None] * torch.arange(1, 6) / SIZE
    curve = torch.cat([turn.cos(), turn.sin()], 1)
    return torch.stack([curve, curve / 2, curve / 4])


def smooth_grid(random: np.random.Generator, rows: int, columns: int) -> CodedGrid:
    """Codes that say much about those beside them, and about deeper levels."""
    counts = torch.from_numpy(random.integers(0, LEVELS + 1, (rows, columns)))
    first = (random.integers(0, SIZE) + np.add.outer(np.arange(rows), np.arange(columns))) % SIZE
    deeper = (first[..., None] + np.arange(1, LEVELS) + random.integers(0, 8, (rows, columns, LEVELS - 1))) % SIZE
    return CodedGrid(counts, torch.from_numpy(np.concatenate([first[..., None], deeper], -1)))


@functools.cache
def trained() -> tuple[FloatContextModel, ContextModel]:
    random = np.random.default_rng(0)
    grids = [smooth_grid(random, 8, 8) for _ in range(60)]
    net = train_context_model(SMALL, books(), grids, minutes=0.2, positions=200, lr=5e-3).eval()
    return net, to_integers(net, mean_bits(net, grids))


@pytest.fixture(autouse=True)
def steps_instead_of_seconds(monkeypatch):
    """Training takes as many steps as it is given time, on any machine: each look at the clock takes 0.02 s of it."""
    calls = itertools.count()
    clock = types.SimpleNamespace(monotonic=lambda: 0.02 * next(calls))
    monkeypatch.setattr("josiecodec.training.entropy.trainer.time", clock)


def entropy_tables(random: np.random.Generator, audio: bool, levels: int) -> EntropyTables:
    return dataclasses.replace(random_tables(random, levels, audio), context=trained()[1])


def test_every_position_is_coded_once_and_most_have_four_neighbours():
    order = coding_passes(16, 16)
    assert set(np.unique(order)) == set(range(PASSES))
    assert [(order == number).mean() for number in (4, 3, 2)] == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (1, 100), (5, 1), (9, 13), (30, 4)])
def test_round_trips_are_exact_and_bits_are_known(shape):
    _, network = trained()
    random = np.random.default_rng(3)
    for _ in range(5):
        grid = smooth_grid(random, *shape)
        counts, codes = grid.counts.numpy(), grid.codes.numpy()
        coder = RangeEncoder()
        network.encode(coder, counts, codes)
        data = coder.finish()
        back = network.decode(RangeDecoder(data), counts)
        assert np.array_equal(back, np.where(np.arange(LEVELS) < counts[..., None], codes, 0))
        assert abs(network.bits(counts, codes).sum() / 8 - len(data)) < 2


def test_whole_numbers_take_what_the_trained_network_promised_and_less_than_the_codes_alone():
    net, network = trained()
    grid = smooth_grid(np.random.default_rng(9), 24, 24)
    with torch.no_grad():
        promised = float(net(grid)[0].sum()) / math.log(2)
    taken = network.bits(grid.counts.numpy(), grid.codes.numpy()).sum()
    assert abs(taken / promised - 1) < 0.02
    assert taken < 0.9 * math.log2(SIZE) * float(grid.counts.sum())


def test_another_model_may_begin_with_what_a_network_knows():
    network, before = trained()[1], books()
    grid = smooth_grid(np.random.default_rng(9), 24, 24)
    counts, codes = grid.counts.numpy(), grid.codes.numpy()
    taken = network.bits(counts, codes).sum()
    # Codes in another space, by some turn of theirs, and each moved a little.
    turn = torch.linalg.qr(torch.randn(10, 10, generator=torch.Generator().manual_seed(1))).Q
    moved = before + 0.005 * torch.randn(before.shape, generator=torch.Generator().manual_seed(2))
    for old, new in ((before, before), (before @ turn, before @ turn), (before, moved)):
        net = warm_start(network, old, new).eval()
        again = to_integers(net, mean_bits(net, [grid])).bits(counts, codes).sum()
        assert abs(again / taken - 1) < 0.05
    with pytest.raises(ModelError, match="other codebooks"):
        warm_start(network, before[:, :50], before[:, :50])
    with pytest.raises(ModelError, match="other codebooks"):
        warm_start(network, before, before[:2])


def test_files_code_first_levels_with_the_network_and_deeper_ones_with_tables():
    random = np.random.default_rng(1)
    for trial in range(60):
        audio, vision = entropy_tables(random, True, 6), entropy_tables(random, False, 8)
        frames, levels = int(random.integers(1, 12)), int(random.integers(1, 7))
        codes = random.integers(0, SIZE, (frames, levels)).astype(np.uint16)
        data = encode_frames(codes, audio)
        assert np.array_equal(decode_frames(data, frames, levels, audio), codes), trial
        assert abs(frame_bits(codes, audio).sum() / 8 - len(data)) < 2
        modes, counts, codes = random_patches(random, 8)
        data = encode_patches(modes, counts, codes, vision)
        assert np.array_equal(decode_patches(data, modes, counts, vision), codes), trial
        assert abs(patch_bits(modes, counts, codes, vision).sum() / 8 - len(data)) < 2


def test_any_bytes_give_codes_or_an_error():
    random = np.random.default_rng(2)
    audio, vision = entropy_tables(random, True, 6), entropy_tables(random, False, 8)
    refused = 0
    for _ in range(400):
        data = random.bytes(int(random.integers(0, 60)))
        modes, counts, _ = random_patches(random, 8)
        try:
            assert decode_frames(data, 8, 6, audio).max() < SIZE
        except FormatError:
            refused += 1
        try:
            assert decode_patches(data, modes, counts, vision).max(initial=0) < SIZE
        except FormatError:
            refused += 1
    assert 200 < refused < 800


def test_networks_that_are_not_in_order_are_refused(tmp_path):
    good = trained()[1].tensors
    for name, bad in (
        ("members", good["members"] + 1),  # a code that does not exist
        ("members", np.where(good["members"] == 5, 6, good["members"])),  # one that cannot be coded
        ("around", good["around"][:, 1:]),
        ("middle", good["middle"] + (1 << 16)),
        ("typical", good["typical"][:1]),
        ("level", good["level"][0]),
    ):
        with pytest.raises(FormatError, match="context model"):
            ContextModel({**good, name: bad})
    with pytest.raises(FormatError, match="not complete"):
        ContextModel({n: x for n, x in good.items() if n != "into"})
    classes, given, within = np.zeros(SIZE, np.int64), np.full((1, 1, 1), 1 << 15), np.full(SIZE, (1 << 15) // SIZE)
    data = with_context(tables_bytes([(classes, given, within)], (0,)), trained()[1])
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ModelError, match="3 levels for 1"):
        read_tables(tmp_path / "x")
    (tmp_path / "y").write_bytes(with_context(tables_bytes([(classes, given, within)] * 3, (0,)), trained()[1]))
    assert read_tables(tmp_path / "y").context_levels == LEVELS


def test_classes_hold_every_code_once_and_are_of_one_size():
    for size in (2, 5, 64, 100):
        members = balanced_classes(torch.randn(size, 6, generator=torch.Generator().manual_seed(size)))
        known = members[members >= 0]
        assert sorted(known.tolist()) == list(range(size))
        counts = (members >= 0).sum(1)
        assert int(counts.max() - counts.min()) <= 1


@pytest.fixture(params=["audio", "vision"])
def made(request, tmp_path):
    """A model, and what its codes can be counted in."""
    (tmp_path / "data").mkdir()
    if request.param == "audio":
        for seed in range(6):
            soundfile.write(tmp_path / "data" / f"{seed}.wav", speechlike(100, seed=seed)[0, 0].numpy(), RATE)
        return save(tiny_model(), tmp_path / "model"), load_recordings(tmp_path / "data", RATE)
    for seed in range(25):
        save_image(scene(160, 160, seed=seed)[0, :, 0], tmp_path / "data" / f"{seed}.png")
    return save(
        model(dataclasses.replace(CONV, encoding=EncoderSettings(n_q=4, beams=1, masking=0.0))), tmp_path / "model"
    ), Pictures(tmp_path / "data")


def test_a_model_gets_a_network(made, monkeypatch):
    folder, material = made
    make_tables(folder, material)
    plain = load(folder)
    monkeypatch.setattr("josiecodec.training.entropy.trainer.saves_bits", lambda *_: True)
    with pytest.raises(ModelError, match="has no context model"):
        make_tables(folder, material, minutes=0.01, before=plain)
    make_tables(folder, material, minutes=0.03)
    first = load(folder)
    make_tables(folder, material, minutes=0.01, before=first)
    codec = load(folder)
    assert codec.fingerprint != first.fingerprint
    assert codec.fingerprint != plain.fingerprint
    assert codec.tables.context_levels > 0
    if isinstance(material, Pictures):
        picture = scene(200, 240, seed=7)[0, :, 0]
        data, more = codec.compress(picture, 4), plain.compress(picture, 4)
        for bpp in (0.08, 0.15):
            size = 8 * len(codec.compress(picture, rate=Rate(bpp=bpp)))
            assert size / (200 * 240) == pytest.approx(bpp, rel=0.05)
        video = scene(64, 64, 5, seed=7)[0]
        assert (
            codec.decompress(codec.compress(video, rate=Rate(rd_lambda=0.01), pictures_per_second=10)).shape
            == video.shape
        )
    else:
        wave = speechlike(150, seed=3)[0]
        data, more = codec.compress(wave), plain.compress(wave)
    assert data != more
    assert torch.equal(codec.decompress(data), plain.decompress(more))


def test_a_network_that_learnt_nothing_is_left_out(made):
    folder, material = made
    make_tables(folder, material, minutes=1e-5)
    assert load(folder).tables.context_levels == 0
