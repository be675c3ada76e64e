"""Decoded recordings that are late are moved before they are compared."""

from __future__ import annotations

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike

from josiecodec.evaluation.alignment import align, find_delay
from josiecodec.evaluation.codecs import AUDIO
from josiecodec.evaluation.items import find_audio
from josiecodec.evaluation.run import compare
from josiecodec.evaluation.table import means

LATE = """
import torch
class Late:
    def __init__(self, setting):
        self.late = int(setting)
    def encode(self, wave, sample_rate):
        return (torch.nn.functional.pad(wave, (self.late, 0)) * 32767).short().numpy().tobytes()
    def decode(self, data, sample_rate):
        return torch.frombuffer(bytearray(data), dtype=torch.int16).float() / 32767
"""


@pytest.fixture(scope="module")
def speech():
    return speechlike(30)[0, 0]


@pytest.mark.parametrize("late", [0, 1, 37, 2400, 9000, -480])
def test_a_delay_is_found_to_the_sample(speech, late):
    noise = 0.01 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    moved = align(speech + noise, -late)
    assert find_delay(moved, speech, RATE) == late
    assert find_delay(0.1 * moved, speech, RATE) == late  # at any level
    back = align(moved, late)
    assert torch.equal(back[: len(speech) - 480], (speech + noise)[: len(back)][: len(speech) - 480]) or late < 0


def other_phases(wave):
    """The same envelopes with noise in place of the waveform."""
    window = torch.hann_window(480)
    spectrum = torch.stft(wave, 480, 120, window=window, return_complex=True)
    noise = torch.randn(wave.shape, generator=torch.Generator().manual_seed(1))
    phases = torch.stft(noise, 480, 120, window=window, return_complex=True)
    return torch.istft(spectrum.abs() * phases / phases.abs().clamp_min(1e-6), 480, 120, window=window)


def test_codecs_that_make_their_own_phases(speech):
    made = other_phases(speech)
    assert find_delay(made, speech, RATE) == 0
    assert abs(find_delay(align(made, -2400), speech, RATE) - 2400) <= 48


def test_what_is_not_plain_is_left_alone(speech):
    noise = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    for other in (noise, torch.zeros_like(speech), speech[:0], torch.zeros(100)):
        assert find_delay(other, speech, RATE) == 0
    assert find_delay(speech, torch.zeros_like(speech), RATE) == 0
    assert find_delay(speech[:1], speech[:1], RATE) == 0
    tone = torch.sin(torch.arange(24000) * 0.05)
    assert find_delay(tone + 0.1 * noise[:24000], tone, RATE) == 0  # any period would do


def test_a_late_codec_loses_no_quality_by_it(tmp_path, monkeypatch):
    (tmp_path / "latecodec.py").write_text(LATE)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "a.wav", speechlike(25)[0, 0].numpy(), RATE)
    names = ["python:latecodec:Late@0", "python:latecodec:Late@4800"]
    first, second = compare(names, AUDIO, find_audio(tmp_path / "sounds"), tmp_path / "out")
    for name in ("pesq_wb", "stoi", "si_sdr", "mel"):
        assert second[name] == pytest.approx(first[name], abs=0.01), name
    assert (first["delay_ms"], second["delay_ms"]) == (0, 200)
    assert [line["delay_ms"] for line in means([first, second])] == [0, 200]
