"""The record of a run: a line of JSON for every entry, and TensorBoard events where that is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ...media.images import load_image


class RunLog:
    """Appends to `log.jsonl` in the folder of a run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._board: Any = None

    def write(self, entry: dict[str, Any]) -> None:
        """Add an entry; it has a `step`, numbers, and maybe tables of numbers."""
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(entry) + "\n")
        if not self._open():
            return
        for name, value in entry.items():
            numbers = {f"{name}/{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
            for key, number in numbers.items():
                if isinstance(number, (int, float)) and key != "step":
                    self._board.add_scalar(key, number, entry["step"])

    def show(self, step: int, pictures: dict[str, Path], sounds: dict[str, tuple[Tensor, int]]) -> None:
        """Add files of pictures, and waveforms [T] with their sample rate, to the events."""
        if not self._open():
            return
        for name, path in pictures.items():
            self._board.add_image(name, load_image(path), step)
        for name, (wave, rate) in sounds.items():
            self._board.add_audio(name, wave[None].clamp(-1, 1), step, rate)
        self._board.flush()  # by itself it writes every two minutes

    def _open(self) -> bool:
        """Whether there are events to write to."""
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return False
            self._board = SummaryWriter(str(self.folder))
        return True


class Means:
    """Running means of the terms of a loss."""

    def __init__(self) -> None:
        self.sums: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.steps = 0

    def add(self, terms: dict[str, Any]) -> None:
        """Count one step's terms (tensors stay where they are)."""
        self.steps += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> tuple[int, dict[str, float]]:
        """Steps and means since the last call."""
        steps, means = self.steps, {name: float(s) / self.counts[name] for name, s in self.sums.items()}
        self.sums, self.counts, self.steps = {}, {}, 0
        return steps, means
