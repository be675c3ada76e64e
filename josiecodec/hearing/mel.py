"""Logarithms of mel bands, the ear of all networks that hear."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..nn.spectra import mel_filterbank
from ..nn.streaming import State, Streaming, with_past

SAMPLE_RATE = 16000  # Hz
HOP = 160  # samples from frame to frame: 10 ms
WINDOW = 400  # samples a frame hears: 25 ms
BANDS = 80
FLOOR = 1e-6  # power added to every band, 60 dB below a sine of about full scale
FFT = 512


class LogMel(Streaming):
    """Waveform [B, T] at 16 kHz, T a multiple of 160 -> natural logarithms of the power of 80 bands [B, 80, T / 160].

    Frame t hears the samples from 160 t - 240 to 160 t + 160: nothing later, so that a stream has the very frames of
    a whole recording. Before the beginning there is silence.
    """

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filterbank(FFT // 2 + 1, BANDS, SAMPLE_RATE), persistent=False)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = with_past(self, x, WINDOW - HOP, 1, state)
        frames = x.unfold(1, WINDOW, HOP) * self.window
        power = torch.fft.rfft(F.pad(frames, (0, FFT - WINDOW))).abs().square() / WINDOW
        return (power @ self.filters + FLOOR).log().transpose(1, 2)
