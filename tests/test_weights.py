"""The weights that ship are whole, exact on a stream, and sound as they should."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from kit.audio import speechlike

import josiecodec
from josiecodec.audio.presets import preset
from josiecodec.errors import ModelError
from josiecodec.fingerprint import of_folder
from josiecodec.hub.store import save
from josiecodec.metrics.audio import mel_distance, pesq, si_sdr, stoi
from josiecodec.settings import Rate
from josiecodec.shipped import WEIGHTS, find_fingerprint
from josiecodec.weight_files import weights_bytes

MODELS = {"jodio-24k-v4": 30.5e6, "jodio-24k-v3": 30.5e6, "jodio-24k-v2": 29e6, "jodio-24k": 26e6}  # bytes of weights


@pytest.fixture(scope="module", params=MODELS)
def codec(request):
    return josiecodec.load(request.param)


def test_what_ships(codec):
    assert codec.n_q == {"jodio-24k-v4": 64, "jodio-24k-v3": 38}.get(codec.config.name, 32)
    assert codec.bitrate() == pytest.approx(1237.5)
    folder = WEIGHTS / codec.config.name
    assert len(weights_bytes(folder)) < MODELS[codec.config.name]
    assert codec.fingerprint == of_folder(folder)
    assert find_fingerprint(codec.fingerprint, "") == folder
    with pytest.raises(ModelError, match="did not come"):
        find_fingerprint("00" * 32, "other")
    assert (folder / "README.md").exists()


def test_the_preset_is_what_ships(codec):
    assert preset(codec.config.name) == codec.config


def test_the_newest_is_the_default():
    assert josiecodec.load().config.name == next(iter(MODELS))


def test_saving_and_loading_changes_nothing(codec, tmp_path):
    again = josiecodec.load(save(codec, tmp_path))
    assert again.fingerprint == codec.fingerprint
    x = speechlike(10)
    assert torch.equal(again.encode(x), codec.encode(x))


def test_a_stream_is_exact(codec):
    x = speechlike(25.7)
    codes = codec.encode(x, 32)
    audio = codec.decode(codes[:, :9], x.shape[-1])
    stream = codec.streaming(n_q=32)
    found = [stream.encode(chunk) for chunk in x.split(2777, -1)]
    found.append(stream.flush())
    assert torch.equal(torch.cat(found, -1), codes)
    sound = torch.cat([stream.decode(c[:, :9]) for c in found], -1)[..., : x.shape[-1]]
    assert torch.equal(sound, audio)


@pytest.mark.parametrize("water_level", [None, -7.0])
@pytest.mark.parametrize("name", ["jodio-24k-v4", "jodio-24k-v3", "jodio-24k-v2"])
def test_the_layers_are_exact_on_a_stream(name, water_level):
    codec = josiecodec.load(name)
    x = speechlike(9.3)
    settings = dataclasses.replace(codec.settings, water_level=water_level, envelope_threshold=water_level)
    codes = codec.encode(x, 20, settings)
    whole = codec.decode(codes)
    stream = codec.streaming(n_q=20, settings=settings)
    found = [stream.encode(chunk) for chunk in x.split(2777, -1)]
    found.append(stream.flush())
    assert torch.equal(torch.cat(found, -1), codes)
    parts = [stream.decode(c) for c in found]
    parts.append(stream.finish())
    assert torch.equal(torch.cat(parts, -1), whole)


def test_levels_after_the_base_code_the_waveform(valid_speech):
    """Not just its magnitudes: what is decoded comes near the original sample by sample."""
    codec = josiecodec.load()
    for _, wave in valid_speech:
        codes = codec.encode(wave, 32)
        found = [codec.decode(codes[:, :n], len(wave))[0, 0] for n in (9, 17, 32)]
        distances = [si_sdr(y, wave) for y in found]
        assert distances[0] < 0 < 2 < distances[1] < distances[2]
        assert pesq(found[2], wave, 24000) > pesq(found[0], wave, 24000) + 0.3


def test_a_bitrate_buys_more_than_equal_levels(valid_speech):
    """Levels where they matter: better than as many in all frames, from a file that is no larger."""
    codec = josiecodec.load()
    better = []
    for _, wave in valid_speech:
        equal = codec.compress(wave, 17)
        kbps = 8 * len(equal) / (len(wave) / 24000) / 1000
        by_frame = codec.compress(wave, rate=Rate(kbps=kbps))
        assert 0.97 * len(equal) < len(by_frame) <= len(equal)
        y, z = (codec.decompress(data)[0] for data in (by_frame, equal))
        better.append(stoi(y, wave, 24000) - stoi(z, wave, 24000))
    assert sum(better) > 0


def test_a_batch_is_exact(codec):
    batch = speechlike(12, batch=3)
    lengths = torch.tensor([12 * 1920, 5000, 20000])
    codes = codec.encode(batch, lengths=lengths)
    for row, n in enumerate(lengths.tolist()):
        alone = codec.encode(batch[row : row + 1, :, :n])
        assert torch.equal(codes[row : row + 1, :, : alone.shape[-1]], alone)


@pytest.mark.parametrize("n_q", [1, 2, 9, 32])
def test_digital_silence_stays_silent(codec, n_q):
    silence = torch.zeros(1, 1, 48000)
    assert codec.decode(codec.encode(silence, n_q)).abs().max() < 1e-3


def test_one_level_does_not_hum(codec):
    """Between words, and without a line that stays where it is all the time."""
    wave = speechlike(100)
    decoded = codec.decode(codec.encode(wave, 1), wave.shape[-1])[0, 0]
    spectrum = torch.stft(decoded, 2048, 512, window=torch.hann_window(2048), return_complex=True).abs()
    steady = (spectrum + 1e-5).log().mean(1)[20:400]  # 230 Hz to 4.7 kHz
    beside = torch.nn.functional.avg_pool1d(steady[None], 21, 1, 10, count_include_pad=False)[0]
    assert float((steady - beside).max()) < 2.0


@pytest.mark.parametrize("gain", [0.01, 1.0, 3.0])
def test_no_level_makes_it_run_away(codec, gain):
    x = gain * speechlike(20)
    y = codec.decode(codec.encode(x))
    assert y.isfinite().all()
    assert y.square().mean() < 4 * x.square().mean() + 1e-6


def test_more_levels_do_not_harm(codec, valid_speech):
    for _, wave in valid_speech:
        codes = codec.encode(wave, 32)
        far = [mel_distance(codec.decode(codes[:, :n], len(wave))[0, 0], wave, 24000) for n in (1, 3, 9, 32)]
        assert far[0] > far[1] > far[2]
        assert far[3] < far[2] * 1.02


def test_speech_is_understood(codec, valid_speech):
    made = valid_speech[0][0] == "speech.flac"  # a voice that was never anybody's is harder
    scores = []
    for _, wave in valid_speech:
        decoded = codec.decode(codec.encode(wave), len(wave))[0, 0]
        scores.append((pesq(decoded, wave, 24000), stoi(decoded, wave, 24000)))
    means = [sum(s) / len(s) for s in zip(*scores)]
    assert not math.isnan(means[0])
    assert means[0] > (1.25 if made else 1.4)
    assert means[1] > (0.72 if made else 0.75)
