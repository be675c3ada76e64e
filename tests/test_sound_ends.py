"""Where sound begins and ends, and where it belongs on the clock of its file."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
import torch
from kit.sound import RATE, heard, late_by, noise, write_sound

from josiecodec.media.audio_reader import AudioReader
from josiecodec.media.audio_writer import AudioWriter

N = 40037
WAVE = noise(N)


@pytest.mark.parametrize(
    ("codec", "container"),
    [("aac", "ipod"), ("alac", "ipod"), ("libopus", "mp4"), ("flac", "mp4"), ("aac", "mov"), ("libopus", "matroska"),
     ("libopus", "webm"), ("alac", "caf"), ("libmp3lame", "mp3"), ("flac", "flac"), ("libopus", "ogg"),
     ("wavpack", "wv"), ("tta", "tta")],
)  # fmt: skip
def test_to_the_sample(tmp_path, codec, container):
    write_sound(tmp_path / "a", WAVE, codec, container)
    wave, warned = heard(tmp_path / "a")
    assert len(wave) == N
    assert late_by(wave, WAVE) == 0
    assert not warned


@pytest.mark.parametrize(
    ("codec", "container"),
    [("wmav2", "asf"), ("wmav1", "asf"), ("aac", "adts"), ("libmp3lame", "avi"), ("libopus", "mpegts"),
     ("aac", "mpegts"), ("aac", "flv"), ("aac", "avi"), ("aac", "matroska"),
     ("aac", "latm")],
)  # fmt: skip
def test_the_beginning_is_exact_where_the_end_cannot_be(tmp_path, codec, container):
    write_sound(tmp_path / "a", WAVE, codec, container)
    wave, _ = heard(tmp_path / "a")
    assert 0 <= len(wave) - N <= 2048
    assert late_by(wave, WAVE) == 0


@pytest.mark.parametrize("kind", ["MS_ADPCM", "IMA_ADPCM"])
def test_the_last_block_of_adpcm_ends_where_its_header_says(tmp_path, kind):
    for length in (5000, 20001):
        wave = noise(length) / 4
        soundfile.write(tmp_path / "a.wav", wave, RATE, kind)
        data = bytearray((tmp_path / "a.wav").read_bytes())
        place = data.index(b"fact") + 8
        data[place : place + 4] = length.to_bytes(4, "little")
        (tmp_path / "a.wav").write_bytes(data)
        assert soundfile.info(tmp_path / "a.wav").frames > length
        assert len(heard(tmp_path / "a.wav")[0]) == length
        data[place : place + 4] = (77).to_bytes(4, "little")  # that is no padding, but a wrong length
        (tmp_path / "a.wav").write_bytes(data)
        assert len(heard(tmp_path / "a.wav")[0]) > length


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_m4a_ends_where_its_edit_list_says(tmp_path, rate):
    for length in (200, 1023, 1024, 20001):
        write_sound(tmp_path / "a.m4a", noise(length), "aac", "ipod", rate)
        assert len(heard(tmp_path / "a.m4a")[0]) == length


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".w64", ".rf64", ".flac"])
def test_sixteen_bits_are_rounded_to_the_nearest(tmp_path, suffix):
    steps = np.array([0.3, -0.3, 0.25, 0.75, -0.25, -0.75, 1.6, -1.6, 4000.4, -4000.4])
    path = tmp_path / f"a{suffix}"
    with AudioWriter(path, 24000) as writer:
        writer.write(torch.tensor([*steps / 32768, 1, -1, 2, -2], dtype=torch.float32))
    found = soundfile.read(path, dtype="int16")[0]
    assert found.tolist() == [*np.round(steps), 32767, -32768, 32767, -32768]


def test_a_track_that_begins_later_is_not_called_cut_off(tmp_path):
    write_sound(tmp_path / "a.mka", WAVE, "libopus", "matroska", holes=((0, 3 * RATE),))
    wave, warned = heard(tmp_path / "a.mka")
    assert abs(len(wave) - N) < 1000
    assert not warned


def test_holes_of_any_length_are_silence(tmp_path):
    for hole in (RATE // 2, 100 * RATE):
        write_sound(tmp_path / "a.mka", noise(3 * RATE), "libopus", "matroska", holes=((RATE, hole),))
        wave, _ = heard(tmp_path / "a.mka")
        assert abs(len(wave) - 3 * RATE - hole) < 2000
        assert abs(late_by(wave[hole:], np.concatenate([np.zeros(RATE, np.float32), noise(3 * RATE)[RATE:]]))) < 1000
        assert not wave[RATE + 2000 : RATE + hole - 2000].any()


@pytest.mark.parametrize("speed", [0.995, 1.005])
def test_a_clock_that_drifts_is_followed(tmp_path, speed):
    seconds = 30
    write_sound(tmp_path / "a.mka", noise(seconds * RATE), "flac", "matroska", drift=speed)
    wave, _ = heard(tmp_path / "a.mka")
    assert abs(len(wave) / RATE - seconds * speed) < 0.06
    last = round(25 * RATE * speed)  # what was there after 25 s
    found = late_by(wave[last : last + 4000], noise(seconds * RATE)[25 * RATE : 25 * RATE + 4000])
    assert abs(found) < 0.06 * RATE


def test_time_stamps_that_jitter_do_not_matter(tmp_path):
    random = np.random.default_rng(0)
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for n in range(100):
            block = (WAVE[:9600] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block[None], "s16", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = n * 9600 + (int(random.integers(0, 5000)) if n % 7 == 3 else 0)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    wave, _ = heard(tmp_path / "a.mka")
    assert len(wave) == 960000


def test_joined_recordings_begin_their_clock_anew(tmp_path):
    data = write_sound(tmp_path / "a.ts", WAVE, "mp2", "mpegts")
    wave, _ = heard(io.BytesIO(data + data))
    assert abs(len(wave) - 2 * N) <= 2 * 2304


def test_the_beginning_on_the_clock_of_the_file_is_told(tmp_path):
    write_sound(tmp_path / "a.ts", WAVE, "aac", "mpegts")
    with AudioReader(tmp_path / "a.ts") as reader:
        assert reader.begin == pytest.approx(1024 / RATE)
    write_sound(tmp_path / "a.m4a", WAVE, "aac", "ipod")
    with AudioReader(tmp_path / "a.m4a") as reader:
        assert reader.begin == 0
