"""Voices as a codec decodes them, at different numbers of levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...coding.jodio import Jodio
from ...hearing.mel import HOP, LogMel
from ...media.audio_reader import resample
from ..audio.data import Recordings
from .features import Bands

LEVELS = (1, 2, 3, 4, 6, 9)
SECONDS = 5.0
BATCH = 8


@torch.inference_mode()
def decoded_bands(codec: Jodio, recordings: Recordings, voices: list[int], seed: int) -> tuple[Bands, list[int]]:
    """A piece of five seconds of a random segment of each voice, coded and decoded.

    Args:
        recordings: at 16 kHz.
        voices: of their segments, -1 of those that are left out.

    Returns:
        their mel bands, and the voice of each piece.
    """
    random, mel, found, edges = torch.Generator().manual_seed(seed), LogMel(), [], [0]
    by_voice: dict[int, list[int]] = {}
    for segment, voice in enumerate(voices):
        if voice >= 0:
            by_voice.setdefault(voice, []).append(segment)
    names = sorted(by_voice)
    size = round(SECONDS * codec.sample_rate)
    for first in range(0, len(names), BATCH):
        waves, lengths = [], []
        for voice in names[first : first + BATCH]:
            pick = int(torch.randint(len(by_voice[voice]), (), generator=random))
            wave = recordings.waveform(recordings.segments[by_voice[voice][pick]])[: round(SECONDS * 16000)]
            wave = resample(wave[None], recordings.sample_rate, codec.sample_rate)[0][:size]
            lengths.append(len(wave))
            waves.append(F.pad(wave, (0, size - len(wave))))
        levels = LEVELS[int(torch.randint(len(LEVELS), (), generator=random))]
        heard = codec.decode(codec.encode(torch.stack(waves)[:, None], levels))[:, 0]
        for wave, length in zip(heard, lengths, strict=True):
            back = resample(wave[None, :length], codec.sample_rate, 16000)[0]
            back = F.pad(back, (0, max(0, HOP - len(back))))
            found.append(mel(back[None, : len(back) // HOP * HOP])[0].t().half())
            edges.append(edges[-1] + len(found[-1]))
    return Bands(torch.cat(found), torch.tensor(edges)), names
