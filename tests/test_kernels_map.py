"""Compiled coding of maps of colours writes and reads what the interpreted one does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from josiecodec import kernels
from josiecodec.entropy.counted_bits import CountedDecoder, CountedEncoder
from josiecodec.entropy.index_map import IndexMap, Wanted
from josiecodec.errors import FormatError


def wishes(colors: int, width: int, rows: int, seed: int) -> list[Wanted]:
    """Rows of letters on flat ground, with some noise, where other colours than the nearest may be cheaper."""
    random = np.random.default_rng(seed)
    letters = random.integers(0, colors, (4, 7, 5))
    page = np.zeros((rows, width), np.int64)
    for _ in range(max(1, rows * width // 150)):
        y, x = int(random.integers(0, max(rows - 7, 1))), int(random.integers(0, max(width - 5, 1)))
        part = page[y : y + 7, x : x + 5]
        part[:] = letters[random.integers(4)][: part.shape[0], : part.shape[1]]
    page[random.random(page.shape) < 0.05] = colors - 1
    costs = np.round(random.random((colors, colors)) * 12, 2)
    np.fill_diagonal(costs, 0.0)
    found = []
    for kinds in page:
        ends = np.append(np.flatnonzero(np.diff(kinds)) + 1, width)
        same = ends[np.searchsorted(ends, np.arange(width), side="right")]
        found.append(Wanted(costs, kinds, kinds, same))
    return found


@pytest.mark.parametrize(
    ("colors", "width", "spans"),
    [
        (1, 20, [(0, 20)]),
        (2, 70, [(0, 70)]),
        (5, 64, [(0, 16), (32, 64)]),
        (40, 48, [(16, 48)]),
        (255, 33, [(0, 33)]),
        (3, 8, []),
    ],
)
def test_bytes_and_colours_are_the_same(monkeypatch, colors, width, spans):
    rows = wishes(colors, width, 40, colors)
    found = {}
    for switch in ("off", "on"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        encoder, model = CountedEncoder(), IndexMap(colors, width)
        coded = [model.row(encoder, spans if n % 9 else [], wanted) for n, wanted in enumerate(rows)]
        found[switch] = encoder.finish(), np.array(coded)
    assert found["on"][0] == found["off"][0]
    np.testing.assert_array_equal(found["on"][1], found["off"][1])
    for switch in ("off", "on"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        decoder, model = CountedDecoder(found["on"][0]), IndexMap(colors, width)
        back = [model.row(decoder, spans if n % 9 else []) for n in range(len(rows))]
        np.testing.assert_array_equal(back, found["on"][1])


def test_noise_is_read_alike(monkeypatch):
    random = np.random.default_rng(0)
    errors = set()
    for n in range(60):
        noise = random.integers(0, 256, int(random.integers(1, 300)), np.uint8)
        data = (noise.tobytes(), bytes(np.sort(noise)), b"\x00\xff" * 50, b"")[n % 4]
        ends: dict[str, object] = {}
        for switch in ("off", "on"):
            monkeypatch.setenv(kernels.SWITCH, switch)
            decoder, model = CountedDecoder(data), IndexMap(3 + n % 30, 50)
            try:
                rows = [model.row(decoder, [(2, 48)]).tolist() for _ in range(20)]
                ends[switch] = rows, decoder.position, decoder.code, decoder.range
            except FormatError as error:
                ends[switch] = str(error)
                errors.add(str(error))
        assert ends["on"] == ends["off"]
    assert errors
