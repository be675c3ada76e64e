"""Codes of the layers after the base of one recording, for whatever numbers of levels its frames are to have.

Which frame gets how many levels follows from the bitrate, after several trials. They are cheap: a search through all
levels a frame may get says the codes of any fewer, and is done once. What is searched is kept in memory, if the
recording is not too long; else it is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from .layer_rate import LayerAnalysis

KEPT_FRAMES = 15000  # of which the vectors to code are kept, about 5 kB each


class LayeredCodec(Protocol):
    """A model by frame, whatever runs its networks; its pieces are its own, but for `codes` [1, K, F]."""

    config: Any

    @property
    def n_q(self) -> int: ...
    @property
    def base_levels(self) -> int: ...
    def layer_rows(self, n_q: int) -> tuple[list[int], list[int]]: ...

    def layer_arrays(self, piece: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a piece the codes of the base [F, K], and how much the levels of both layers matter, [L, F], [E, F]."""

    def layer_paths(
        self, piece: Any, waveform: np.ndarray, envelope: np.ndarray, beams: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes of a piece with every number of levels up to those given [F], see `audio.layers.search_layers`."""


class LayerPaths:
    """Codes of one layer for any numbers of levels up to those searched, packed.

    Args:
        levels: of the layer.
    """

    def __init__(self, levels: int):
        self.levels = levels
        self._rows: list[np.ndarray] = []  # codes with 1, 2, ... levels, one after the other
        self._starts: list[np.ndarray] = [np.zeros(1, np.int64)]

    def add(self, paths: np.ndarray, counts: np.ndarray) -> None:
        """Take over codes [F, L, L] of the frames that follow, of which `counts` [F] levels were searched."""
        with_count = np.arange(1, self.levels + 1)
        used = (with_count[:, None] <= counts[:, None, None]) & (with_count <= with_count[:, None])
        self._rows.append(paths[used].astype(np.uint16))
        self._starts.append(self._starts[-1][-1] + np.cumsum(counts * (counts + 1) // 2))

    def codes(self, counts: np.ndarray) -> np.ndarray:
        """Codes [F, L] with so many levels [F] of each frame, zeros after them."""
        rows, starts = np.concatenate([*self._rows, np.zeros(1, np.uint16)]), np.concatenate(self._starts)[:-1]
        level = np.arange(self.levels)
        used = level < counts[:, None]
        place = (starts + counts * (counts - 1) // 2)[:, None] + level
        return np.where(used, rows[np.where(used, place, 0)], 0).astype(np.uint16)


class LayerSearch:
    """One recording.

    Args:
        codec: a model by frame.
        pieces: what `analyse_frames` gives; called again if the recording is long.
        beams: hypotheses kept.

    Attributes:
        analysis: what decides about levels.
    """

    def __init__(self, codec: LayeredCodec, pieces: Callable[[], Iterable[Any]], beams: int):
        self.codec, self.beams = codec, beams
        kept: list[Any] | None = []
        found: list[tuple[np.ndarray, ...]] = []
        for piece in pieces():
            found.append(codec.layer_arrays(piece))
            if kept is not None:
                kept.append(piece)
                kept = kept if sum(p.codes.shape[-1] for p in kept) <= KEPT_FRAMES else None
        self.pieces = pieces if kept is None else lambda: kept
        base, waveform, envelope = zip(*found, strict=True) if found else ([np.zeros((0, 1), int)],) * 3
        config = codec.config.waveform
        assert config is not None
        fewest = min(config.min_levels, config.levels)
        joined = np.concatenate(base), np.concatenate(waveform, 1), np.concatenate(envelope, 1)
        self.analysis = LayerAnalysis(*joined, fewest).evened()
        self._searched: tuple[np.ndarray, np.ndarray] | None = None

    def codes(self, waveform: np.ndarray, envelope: np.ndarray, room: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Codes of all levels [F, n_q] if frames have so many levels of the layers [F] each.

        Args:
            waveform, envelope: levels of each frame.
            room: how many are searched, if a search is needed: those that later calls are likely to want.
        """
        if self._searched is None or any((n > most).any() for n, most in zip((waveform, envelope), self._searched)):
            self._search((np.maximum(waveform, room[0]), np.maximum(envelope, room[1])))
        base = self.analysis.base
        codes = np.zeros((len(base), self.codec.n_q), np.uint16)
        codes[:, : self.codec.base_levels] = base
        rows = self.codec.layer_rows(self.codec.n_q)
        for own, paths, counts in zip(rows[::-1], self._paths, (waveform, envelope), strict=True):
            codes[:, [self.codec.base_levels + k for k in own]] = paths.codes(counts)
        return codes

    def _search(self, counts: tuple[np.ndarray, np.ndarray]) -> None:
        if self._searched is not None:
            counts = np.maximum(counts[0], self._searched[0]), np.maximum(counts[1], self._searched[1])
        self._paths = LayerPaths(len(self.analysis.waveform)), LayerPaths(len(self.analysis.envelope))
        first = 0
        for piece in self.pieces():
            own = [c[first : first + piece.codes.shape[-1]].astype(np.int64) for c in counts]
            for paths, found, limit in zip(
                self._paths, self.codec.layer_paths(piece, own[0], own[1], self.beams), own, strict=True
            ):
                paths.add(found, limit)
            first += piece.codes.shape[-1]
        self._searched = counts
