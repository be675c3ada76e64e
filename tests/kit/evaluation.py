"""Recordings to compare codecs on, and codecs of a user's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from josiecodec.evaluation import round_trip
from josiecodec.evaluation.items import Item
from kit.audio import RATE, speechlike

OWN = '''
import torch
class Quarters:
    """Images in two bits per colour."""
    kinds = ("image",)
    def __init__(self, setting):
        pass
    def encode(self, media, rate):
        assert rate == 0
        self.shape = media.shape
        return (media * 3).round().byte().numpy().tobytes()
    def decode(self, data, rate):
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).float().view(self.shape) / 3
class Halves:
    """Every second sample, as 16-bit numbers; refuses silence."""
    def __init__(self, setting):
        self.step = int(setting or 2)
    def encode(self, wave, sample_rate):
        if not wave.any():
            raise RuntimeError("nothing but silence")
        return (wave[:: self.step] * 32767).short().numpy().tobytes()
    def decode(self, data, sample_rate):
        import numpy
        return torch.from_numpy(numpy.frombuffer(data, numpy.int16).copy()).float().repeat_interleave(self.step) / 32767
'''


def recordings(folder: Path) -> Path:
    """Three recordings like speech and a silent one."""
    folder.mkdir()
    for seed in range(3):
        soundfile.write(folder / f"{seed}.wav", speechlike(20, seed=seed)[0, 0].numpy(), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    return folder


class InThisProcess(ThreadPoolExecutor):
    """In place of a pool of processes, each of which takes seconds to import torch: for tests of what comes after."""

    def __init__(
        self, workers: int, context: Any = None, initializer: Callable[..., None] | None = None, initargs: tuple = ()
    ):
        super().__init__(1, "comparison", initializer, initargs)


class Deadly(Item):
    """A recording that takes down a process that reads it: "a.wav" the encoding one, "b.wav" the scoring one."""

    def load(self) -> Any:
        encoding = round_trip._codec is not None
        if self.path == ("a.wav" if encoding else "b.wav"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load()
