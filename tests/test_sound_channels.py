"""Layouts, opposite phase, full scale, tracks, and changes on the way."""

from __future__ import annotations

import io
import json
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from kit.processes import run
from kit.sound import RATE, heard, late_by, noise, write_sound

from josiecodec.coding.audio import encode_file
from josiecodec.errors import MediaError
from josiecodec.media.audio_frames import mono_weights
from josiecodec.media.audio_reader import AudioReader, Reading, load_audio
from josiecodec.settings import Rate

N = 30000
WAVE = noise(N)
LAYOUTS = ["mono", "stereo", "2.1", "3.0", "4.0", "quad", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1"]


def standard(layout: str) -> np.ndarray:
    """Weights of FFmpeg's normalised downmix, from what it makes of 16-bit samples."""
    channels = av.AudioLayout(layout).nb_channels
    frame = av.AudioFrame.from_ndarray(np.eye(channels, dtype=np.int16).reshape(1, -1) * 10000, "s16", layout)
    frame.sample_rate = RATE
    mixer = av.AudioResampler("s16", "mono", RATE)
    mixed = np.concatenate([part.to_ndarray()[0] for part in (*mixer.resample(frame), *mixer.resample(None))])
    return mixed / 10000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_downmix_is_the_standard_one(layout):
    channels = av.AudioLayout(layout).nb_channels
    np.testing.assert_allclose(mono_weights(layout, channels), standard(layout), atol=2e-4)


def test_channels_without_a_place_count_alike():
    assert (mono_weights("12 channels", 12) == np.float32(1 / 12)).all()
    assert mono_weights("ambisonic 1", 4).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("codec", "container"), [("flac", "flac"), ("pcm_s16le", "wav"), ("aac", "ipod"), ("opus", "webm")]
)
def test_every_layout_is_mixed(tmp_path, layout, codec, container):
    codec = "libopus" if codec == "opus" else codec
    channels = av.AudioLayout(layout).nb_channels
    wave = np.zeros((N, channels), np.float32)
    centre = [c.name for c in av.AudioLayout(layout).channels].index("FC") if channels > 2 and "3" in layout else 0
    wave[:, centre] = WAVE
    try:
        write_sound(tmp_path / "a", wave, codec, container, layout=layout)
    except (av.FFmpegError, ValueError):
        pytest.skip("the encoder does not know this layout")
    mixed, _ = heard(tmp_path / "a")
    lossy = codec in ("aac", "libopus")
    with AudioReader(tmp_path / "a") as reader:
        share = mono_weights(reader.layout, reader.channels)
    expected = standard(layout)[centre] if not lossy else share[share > 0.05].mean()
    assert mixed[2000 : N - 2000].std() / WAVE.std() == pytest.approx(expected, rel=0.3 if lossy else 0.01)


def test_opposite_phase_is_heard_and_said(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([WAVE, -WAVE], 1), RATE, "FLOAT")
    wave, warned = heard(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, WAVE, atol=1e-6)
    assert "opposite phase" in warned[0]
    quiet = np.concatenate([1e-3 * noise(RATE)[:, None].repeat(2, 1), np.stack([WAVE, -WAVE], 1)])
    soundfile.write(tmp_path / "b.wav", quiet, RATE, "FLOAT")
    wave, warned = heard(tmp_path / "b.wav")
    assert late_by(wave[RATE:], WAVE) == 0
    assert "opposite phase" in warned[0]


@pytest.mark.parametrize("right", [1.0, 0.3, 0.0, -0.3])
def test_ordinary_stereo_is_the_mean(tmp_path, right):
    soundfile.write(tmp_path / "a.wav", np.stack([WAVE, right * WAVE], 1), RATE, "FLOAT")
    wave, warned = heard(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, (1 + right) / 2 * WAVE, atol=1e-6)
    assert not warned


def test_beyond_full_scale_is_said_and_normalised(tmp_path):
    soundfile.write(tmp_path / "a.wav", 30 * WAVE, RATE, "FLOAT")
    wave, warned = heard(tmp_path / "a.wav")
    assert "times full scale" in warned[0]
    assert "--normalize" in warned[0]
    with AudioReader(tmp_path / "a.wav") as reader:
        assert reader.peak() == pytest.approx(np.abs(wave).max())
    _, warned = heard(tmp_path / "a.wav", gain=float(1 / np.abs(wave).max()))
    assert not warned


def test_recordings_are_normalised_before_they_are_encoded(tmp_path, spectral):
    soundfile.write(tmp_path / "loud.wav", 30 * WAVE, RATE, "FLOAT")
    soundfile.write(tmp_path / "right.wav", WAVE / np.abs(WAVE).max(), RATE, "FLOAT")
    normalize, codes = Reading(normalize=True), []
    for rate in (Rate(n_q=4), Rate(kbps=3)):
        loud, right = io.BytesIO(), io.BytesIO()
        encode_file(spectral, tmp_path / "loud.wav", loud, rate=rate, reading=normalize)
        encode_file(spectral, tmp_path / "right.wav", right, rate=rate)
        codes.append(loud.getvalue() == right.getvalue())
    assert codes == [True, True]


def two_tracks(path, default: int | None = 1):
    """A film without pictures: the first track is silent, the second one has sound."""
    with av.open(str(path), "w", format="matroska") as file:
        streams = [file.add_stream("flac", rate=RATE, layout="mono") for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition(0)
            stream.metadata["language"] = ("eng", "fra")[number]
        for stream, wave in zip(streams, (np.zeros(N, np.float32), WAVE)):
            samples = (wave * 32767).astype(np.int16)
            for first in range(0, N, 4096):
                frame = av.AudioFrame.from_ndarray(samples[None, first : first + 4096].copy(), "s16", "mono")
                frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))


def test_the_track_flagged_as_default_is_read(tmp_path):
    two_tracks(tmp_path / "a.mkv")
    wave, warned = heard(tmp_path / "a.mkv")
    assert late_by(wave, WAVE) == 0
    assert "2 tracks of audio" in warned[0]
    first, warned = heard(tmp_path / "a.mkv", Reading(track=1))
    assert not first.any()
    assert not warned
    with pytest.raises(MediaError, match="number 3"):
        AudioReader(tmp_path / "a.mkv", Reading(track=3))
    soundfile.write(tmp_path / "a.wav", WAVE, RATE)
    with pytest.raises(MediaError, match="number 2"):
        AudioReader(tmp_path / "a.wav", Reading(track=2))


def test_info_shows_the_tracks(tmp_path):
    two_tracks(tmp_path / "a.mkv")
    shown = run("info", tmp_path / "a.mkv")
    assert "audio track 2: flac, 48000 Hz, mono, fra, default, read" in shown
    found = json.loads(run("info", "--json", tmp_path / "a.mkv"))
    assert [track["language"] for track in found["sound"]["tracks"]] == ["eng", "fra"]
    assert found["sound"]["samples"] == N


def test_rate_and_layout_may_change_within_a_stream(tmp_path):
    parts = [(RATE, "mono", 40000), (24000, "stereo", 20000), (44100, "5.1", 30000)]
    data = b""
    for number, (rate, layout, length) in enumerate(parts):
        data += write_sound(tmp_path / "part.aac", noise(length, number), "aac", "adts", rate, layout)
    (tmp_path / "a.aac").write_bytes(data)
    wave, _ = heard(tmp_path / "a.aac")
    expected = sum(length * RATE / rate for rate, _, length in parts)
    assert 0 <= len(wave) - expected < 12000  # padding of three encoders
    assert load_audio(tmp_path / "a.aac", 24000).samples.shape[1] == pytest.approx(len(wave) / 2, abs=2)
    picked, warned = heard(tmp_path / "a.aac", channel=0)
    assert len(picked) == len(wave)
    (tmp_path / "b.aac").write_bytes(write_sound(tmp_path / "x.aac", WAVE, "aac", "adts", layout="stereo") + data)
    picked, warned = heard(tmp_path / "b.aac", channel=1)
    assert "no channel 1 in parts" in warned[0]
