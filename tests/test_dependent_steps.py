"""Dependent quantization of coefficients, and coding them bit by bit: compiled and not, hostile bytes."""

import numpy as np
import pytest

from josiecodec.coding.detail_bits import CoefficientBits, near_coefficients, size_bits
from josiecodec.coding.detail_trellis import choose_dependent
from josiecodec.entropy.mixing import LOGIT, MOST, logits, probabilities
from josiecodec.entropy.range_coder import RangeDecoder, RangeEncoder, check_end
from josiecodec.kernels import SWITCH, family
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.dependent_steps import following, preceding
from josiecodec.vision.detail_shapes import passes_of, shapes_of

CONFIG = DetailConfig(states=8, shapes=4, strengths=8)
PASSES = passes_of(CONFIG.splits)


def numbers(seed):
    """Decisions, chances and weights."""
    shapes = shapes_of(CONFIG, 96, 16)
    random = np.random.default_rng(seed)
    decisions = np.sort(random.integers(-1500, 500, shapes["decisions"]), 0)
    chances = random.integers(3000, 40000, shapes["chances"])
    return decisions, chances, random.integers(5000, 20000, shapes["mixing"])


def coefficients(seed, h=2, w=3, largest=3):
    """Scales of each pass, with some that are not coded, and symbols [2 h, 2 w, 192]."""
    random = np.random.default_rng(seed)
    scales = [random.integers(-6, 44, (2 * h, 2 * w, len(members))) for members in PASSES]
    symbols = np.rint(random.laplace(0, largest / 3, (2 * h, 2 * w, 192))).astype(np.int16)
    symbols[0, 0, 0] = 4110 if largest > 3 else 1
    for members, each in zip(PASSES, scales):
        each[0, 0, 0] = 20
        symbols[..., members] *= each >= 0
    return scales, symbols


def packed(scales, symbols, seed=1):
    coder, encoder = CoefficientBits(numbers(seed), symbols.shape[:2]), RangeEncoder()
    for number, (members, each) in enumerate(zip(PASSES, scales)):
        coder.encode(encoder, number, members, each, symbols[..., members])
    return encoder.finish()


def unpacked(scales, data, shape, seed=1):
    coder, decoder = CoefficientBits(numbers(seed), shape[:2]), RangeDecoder(data)
    symbols, levels = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
    for number, (members, each) in enumerate(zip(PASSES, scales)):
        symbols[..., members], levels[..., members] = coder.decode(decoder, number, members, each)
    return decoder, symbols, levels


def test_every_state_has_two_ways_to_it_that_differ():
    after, before = following(), preceding()
    for state in range(8):
        for way in before[state]:
            assert after[way >> 1, way & 1] == state
    assert sorted(before.reshape(-1)) == list(range(16))


def test_tables_are_far_from_where_rounding_could_differ():
    x = 32768 / (1 + np.exp(-np.arange(-MOST, MOST + 1) / LOGIT)) + 0.5
    p = (np.arange(4096) + 0.5) / 4096
    y = LOGIT * np.log(p / (1 - p)) + 0.5
    for values in (x, y):
        assert np.abs(values - np.rint(values)).min() > 1e-6
    assert probabilities().min() > 0
    assert probabilities().max() < 1 << 15
    assert (np.diff(logits()) >= 0).all()


def test_near_coefficients_come_before():
    order = np.concatenate(PASSES).argsort()
    near = near_coefficients()
    for c in range(192):
        assert all(order[other] < order[c] for other in near[c] if other >= 0)


@pytest.mark.parametrize("largest", [1, 3, 30])
@pytest.mark.parametrize("compiled", [True, False])
def test_what_is_coded_comes_back_either_way(largest, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setenv(SWITCH, "off")
    elif family("detail_bits") is None:
        pytest.skip("no numba")
    scales, symbols = coefficients(largest, 1, 2, largest)
    data = packed(scales, symbols)
    monkeypatch.setenv(SWITCH, "on" if not compiled else "off")  # the other one reads it
    assert packed(scales, symbols) == data
    decoder, found, levels = unpacked(scales, data, symbols.shape)
    check_end(decoder)
    np.testing.assert_array_equal(found, symbols)
    sizes = np.abs(levels.astype(int))
    assert ((sizes == 2 * np.abs(symbols.astype(int))) | (sizes == 2 * np.abs(symbols.astype(int)) - 1)).all()
    assert (np.sign(levels) == np.sign(symbols)).all()


def test_damaged_bytes_give_the_same_numbers_compiled_or_not(monkeypatch):
    scales, symbols = coefficients(5, 1, 1)
    data = bytearray(packed(scales, symbols))
    random = np.random.default_rng(0)
    for k in range(4):
        data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        cut = bytes(data[: len(data) - 3 * k])
        both = []
        for switch in ("on", "off"):
            monkeypatch.setenv(SWITCH, switch)
            decoder, found, levels = unpacked(scales, cut, symbols.shape)
            both.append((decoder.code, decoder.range, decoder.position, found.tobytes(), levels.tobytes()))
        assert both[0] == both[1]


def test_the_trellis_is_the_same_compiled_or_not_and_worth_its_while(monkeypatch):
    random = np.random.default_rng(2)
    members = PASSES[0]
    wanted = random.laplace(0, 1, (24, 192)).astype(np.float32)
    scales = random.integers(-4, 44, (24, len(members)))
    price = random.uniform(0.05, 0.4, wanted.shape).astype(np.float32)
    bits = size_bits(np.sort(numbers(3)[0], 0))
    both = []
    for switch in ("on", "off"):
        monkeypatch.setenv(SWITCH, switch)
        spent, cost = np.zeros(24), np.zeros(24)
        found = choose_dependent(wanted, members, scales, price, bits, 4110, (spent, cost))
        both.append((found.symbols.tobytes(), found.levels.tobytes(), spent.tobytes(), cost.tobytes()))
    assert both[0] == both[1]
    assert (found.symbols[scales < 0] == 0).all()
    error = 2 * wanted[:, members].astype(float) - found.levels + 0.1 * np.sign(found.levels)
    dear = price[:, members].astype(float)
    np.testing.assert_allclose((np.square(error / 2) / dear).sum(1) + spent, cost)
    nothing = (np.square(wanted[:, members].astype(float)) / dear).sum() + bits[np.clip(scales, 0, 39)][scales >= 0][
        :, 0
    ].sum()
    assert cost.sum() < nothing


def test_chosen_levels_are_what_a_decoder_finds():
    random = np.random.default_rng(4)
    members = PASSES[1]
    shape = (2, 4, 192)
    wanted = (3 * random.standard_normal((8, 192))).astype(np.float32)
    scales = random.integers(-2, 40, (8, len(members)))
    price = np.full(wanted.shape, 0.1, np.float32)
    chosen = choose_dependent(
        wanted, members, scales, price, size_bits(numbers(1)[0]), 4110, (np.zeros(8), np.zeros(8))
    )
    encoder = RangeEncoder()
    there = scales.reshape(2, 4, -1)
    CoefficientBits(numbers(1), shape[:2]).encode(encoder, 1, members, there, chosen.symbols.reshape(there.shape))
    coder = CoefficientBits(numbers(1), shape[:2])
    symbols, levels = coder.decode(RangeDecoder(encoder.finish()), 1, members, there)
    np.testing.assert_array_equal(symbols.reshape(chosen.symbols.shape), chosen.symbols)
    np.testing.assert_array_equal(levels.reshape(chosen.levels.shape), chosen.levels)
