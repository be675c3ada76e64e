import numpy as np
import pytest
import torch
from kit.vision import CONV, model

from josiecodec.coding.detail import DetailCoder
from josiecodec.coding.detail_choice import choose_symbols
from josiecodec.coding.shape_map import decode_shapes, encode_shapes
from josiecodec.entropy.range_coder import RangeDecoder, RangeEncoder, check_end
from josiecodec.entropy.symbol_arrays import decode_array, encode_array
from josiecodec.kernels import SWITCH
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.training.vision.detail_shapes import in_shapes
from josiecodec.vision.block_shapes import SHAPES, averaged, from_shapes, places, to_shape, to_shapes
from josiecodec.vision.block_transform import from_coefficients, to_coefficients
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_steps import DetailSteps

RANDOM = np.random.default_rng(0)
MAP = RANDOM.integers(0, len(SHAPES), (3, 4)).astype(np.uint8)


@pytest.fixture(scope="module")
def coder():
    config = DetailConfig(channels=16, blocks=(1, 0, 0), shapes=4, strengths=2, filter_channels=8, filter_blocks=1)
    made = add_detail_layer(model(CONV), config, "shapes")
    offsets = made.detail.tensor("offsets")
    offsets.copy_(torch.randint(-60, 60, offsets.shape, generator=torch.Generator().manual_seed(0)))
    return DetailCoder(made.detail)


def test_shapes_are_orthonormal_and_come_back():
    x = RANDOM.standard_normal((6, 8, 192)).astype(np.float32)
    turned = to_shapes(x, MAP)
    np.testing.assert_allclose(from_shapes(turned, MAP), x, atol=1e-5)
    assert abs(np.square(turned).sum() / np.square(x).sum() - 1) < 1e-5


@pytest.mark.parametrize("number", range(1, len(SHAPES)))
def test_a_wave_of_a_longer_block_is_one_coefficient(number):
    down, across = SHAPES[number]
    wave = torch.zeros(1, 3, 16, 16)
    y = torch.cos(torch.pi * (2 * torch.arange(16) + 1) * 5 / 32) if down > 8 else torch.ones(16)
    x = torch.cos(torch.pi * (2 * torch.arange(16) + 1) * 3 / 32) if across > 8 else torch.ones(16)
    wave[:] = y[:, None] * x
    found = to_shape(to_coefficients(wave)[0].numpy(), number)
    assert (np.abs(found) > 1e-4).sum() == (1 if down == across else 2)
    back = from_coefficients(torch.from_numpy(from_shapes(found, np.full((1, 1), number, np.uint8)))[None])
    assert torch.allclose(back, wave, atol=1e-5)


def test_training_expects_the_same():
    level = torch.from_numpy(RANDOM.integers(-99, 99, (6, 8, 5))).float()
    offsets = torch.from_numpy(RANDOM.integers(-9, 9, (16, 5))).float()
    there = averaged(level.numpy(), MAP) + offsets.numpy()[places(MAP)]
    here = in_shapes(level[None], torch.from_numpy(MAP)[None], offsets)[0].numpy()
    assert np.abs(here - there).max() < 1


@pytest.mark.parametrize("skipping", [False, True])
def test_a_map_comes_back(skipping):
    shapes, counts = RANDOM.integers(0, 4, (9, 7)).astype(np.uint8), RANDOM.integers(0, 12, (9, 7))
    skipped = RANDOM.random((9, 7)) < 0.3 if skipping else None
    if skipped is not None:
        shapes[skipped] = 0
    encoder = RangeEncoder()
    encode_shapes(encoder, shapes, counts, skipped)
    decoder = RangeDecoder(encoder.finish())
    np.testing.assert_array_equal(decode_shapes(decoder, counts, skipped), shapes)
    check_end(decoder)


def test_coefficients_of_all_shapes_come_back(coder):
    latents, counts = RANDOM.integers(-300, 300, (3, 4, 24)), RANDOM.integers(0, 9, (3, 4))
    wanted, steps = 3 * RANDOM.standard_normal((6, 8, 192)), DetailSteps(40, 1)
    skipped = np.zeros((3, 4), bool)
    skipped[1, 2] = True
    blocks, shapes = skipped.repeat(2, 0).repeat(2, 1), np.where(skipped, 0, MAP).astype(np.uint8)
    chosen = coder.choose(latents, counts, wanted, steps, 0.1, blocks, shapes=shapes)
    found = coder.unpack(latents, counts, coder.pack(chosen, counts, blocks), blocks)
    assert found[0] == steps
    np.testing.assert_array_equal(found[1], chosen.symbols)
    np.testing.assert_array_equal(found[2], shapes)
    assert not chosen.symbols[blocks].any()


def test_smooth_patches_get_long_blocks(coder):
    y, x = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    waves = 0.5 + 0.3 * torch.cos(torch.pi * (2 * (y % 16) + 1) * 3 / 32) * torch.cos(
        torch.pi * (2 * (x % 16) + 1) / 32
    )
    wanted = 255 * to_coefficients(waves.expand(1, 3, -1, -1).float())[0].numpy()
    counts, latents = np.zeros((3, 4), int), np.zeros((3, 4, 24), int)
    shapes = coder.shapes_for(latents, counts, wanted, DetailSteps(40, 1), np.float32(0.125))
    assert (shapes == 1).all()


def test_compiled_code_chooses_the_same(monkeypatch):
    wanted = (3 * RANDOM.standard_normal((50, 192))).astype(np.float32)
    members, scales = np.arange(3, 90, 2), RANDOM.integers(-5, 44, (50, 44))
    price = (0.1 + RANDOM.random((50, 192))).astype(np.float32)
    bits = 1 + 9 * RANDOM.random((40, 31))
    found = []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        totals = np.zeros(50), np.zeros(50)
        symbols = choose_symbols(wanted, members, scales, price, bits, 4000, totals)
        found.append((symbols, *totals))
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("switch", ["on", "off"])
def test_arrays_through_the_range_coder(monkeypatch, switch):
    tables = np.array([[0, 1, 40, 32768], [0, 32766, 32767, 32768]])
    which, symbols = RANDOM.integers(0, 2, 5000), RANDOM.integers(0, 3, 5000)
    before = tables[which, symbols]
    slow, fast = RangeEncoder(), RangeEncoder()
    slow.encode_symbols(before.tolist(), (tables[which, symbols + 1] - before).tolist(), 15)
    monkeypatch.setenv(SWITCH, switch)
    encode_array(fast, before, tables[which, symbols + 1] - before, 15)
    data = fast.finish()
    assert data == slow.finish()
    decoder = RangeDecoder(data)
    np.testing.assert_array_equal(decode_array(decoder, tables, which, 15), symbols)
    check_end(decoder)
