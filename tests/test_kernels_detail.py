"""The network of a detail layer: compiled code gives what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from josiecodec import kernels
from josiecodec.quantization.config import ResidualQuantizerConfig
from josiecodec.runtime.residual_search import Stack
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_network import DetailNetwork
from josiecodec.vision.detail_shapes import passes_of, shapes_of
from josiecodec.vision.detail_steps import DetailSteps
from josiecodec.vision.rows_ahead import RowsAhead

CONFIG = DetailConfig(channels=12, blocks=(2, 1, 1), strengths=3, shapes=4)


def network(random: np.random.Generator) -> DetailNetwork:
    shapes = shapes_of(CONFIG, 6, 16)
    sizes = {"matrix": 3000, "offset": 100000, "count": 4000, "step": 4000, "offsets": 900}
    tensors = {
        name: random.integers(-sizes.get(name, 60), sizes.get(name, 60) + 1, shape).astype(np.int32)
        for name, shape in shapes.items()
        if name != "frequencies"
    }
    return DetailNetwork(tensors, passes_of(CONFIG.splits), CONFIG.blocks)


@pytest.mark.parametrize("shaped", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_scales(monkeypatch, shaped, size):
    if kernels.family("detail_network") is None:
        pytest.skip("nothing is compiled here")
    random = np.random.default_rng(0)
    latents, counts = random.integers(-9000, 9000, (*size, 6)), random.integers(0, 40, size)
    shapes = random.integers(0, 4, size).astype(np.uint8) if shaped else None
    symbols = [random.integers(-20, 20, (2 * size[0], 2 * size[1], len(m))) for m in passes_of(CONFIG.splits)]
    found = []
    for switch in ("on", "off"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        scales = []
        for (here, into), coded in zip(
            network(np.random.default_rng(1)).scales(latents, counts, STEPS, shapes), symbols
        ):
            into[...] = coded
            scales.append(here)
        found.append(scales)
    assert len({int(s) for here in found[0] for s in here.flat}) > 20
    for ours, theirs in zip(*found):
        np.testing.assert_array_equal(ours, theirs)


STEPS = DetailSteps(40, 2)


def test_the_first_layer_is_that_of_the_latents_given():
    random = np.random.default_rng(2)
    net, counts = network(random), np.full((2, 2), 3)
    latents = [random.integers(-900, 900, (2, 2, 6)) for _ in range(3)]
    first = [next(net.scales(x, counts, STEPS))[0] for x in (*latents, *latents)]
    for x, ours, again in zip(latents, first, first[3:]):
        np.testing.assert_array_equal(ours, again)
        np.testing.assert_array_equal(ours, next(net.scales(x.copy(), counts, STEPS))[0])
    assert not np.array_equal(first[0], first[1])


def test_rows_ahead():
    made: list[tuple[int, int]] = []
    whole = np.arange(3 * 40).reshape(1, 40, 3)

    def make(first: int, last: int) -> np.ndarray:
        made.append((first, last))
        return whole[:, 2 * first : 2 * last]

    rows = RowsAhead(make, 20, 6, 1, 2)
    for first, last in [(0, 2), (2, 5), (4, 9), (8, 10), (15, 16), (15, 18), (3, 4), (0, 20)]:
        np.testing.assert_array_equal(rows.rows(first, last), whole[:, 2 * first : 2 * last])
    assert made == [(0, 6), (6, 12), (15, 16), (16, 20), (3, 4), (0, 20)]


def test_codes_of_a_search(monkeypatch):
    if kernels.family("nearest") is None:
        pytest.skip("nothing is compiled here")
    random = np.random.default_rng(3)
    config = ResidualQuantizerConfig(levels=3, codebook_size=256)
    books = {f"rvq.quantizers.{k}.codebook.weight": random.standard_normal((256, 8)) for k in range(3)}
    stack = Stack(config, {name: value.astype(np.float32) for name, value in books.items()})
    x = 3 * random.standard_normal((200, 8)).astype(np.float32)
    costs, rd_lambda = [random.random(256).astype(np.float32) for _ in range(3)], np.full(200, 0.1, np.float32)
    for beams in (1, 4):
        found = []
        for switch in ("on", "off"):
            monkeypatch.setenv(kernels.SWITCH, switch)
            found.append(stack.search(x, 3, beams, None, costs, rd_lambda))
        for name in ("errors", "codes", "parents"):
            np.testing.assert_array_equal(*(getattr(f, name) for f in found))
