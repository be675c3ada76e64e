"""What decodes is what is there: claimed lengths, joined files, damage."""

from __future__ import annotations

import io
import os
import struct

import numpy as np
import pytest
import soundfile
from kit.sound import RATE, heard, late_by, noise, write_sound

from josiecodec.errors import MediaError
from josiecodec.media.audio_reader import AudioReader, Reading, load_audio

N = 40037
WAVE = noise(N)


def mp3(tmp_path, wave=WAVE, rate=RATE, layout="mono"):
    return write_sound(tmp_path / "made.mp3", wave, "libmp3lame", "mp3", rate, layout)


def without_header(data: bytes) -> bytes:
    """An MP3 without the frame in which its encoder says how long it is."""
    mark = data.index(b"Info") if b"Info" in data else data.index(b"Xing")
    first = data.rindex(b"\xff\xfb", 0, mark)
    return data[data.index(b"\xff\xfb", mark) :] if first == 0 else data[:first] + data[data.index(b"\xff\xfb", mark) :]


def test_mp3_without_a_header_is_read_once_and_whole(tmp_path):
    file = tmp_path / "a.mp3"
    file.write_bytes(without_header(mp3(tmp_path)))
    wave, _ = heard(file)
    assert 0 <= len(wave) - N <= 2304 + 1105
    assert late_by(wave, WAVE) <= 1105
    with AudioReader(file) as reader:
        assert sum(len(b) for b in reader.blocks()) == len(wave)


def test_mp3_behind_its_claimed_length_can_be_cut_out(tmp_path):
    data = mp3(tmp_path, noise(RATE * 8))
    quiet = without_header(mp3(tmp_path, np.zeros(RATE, np.float32)))  # low bit rate of this is what is believed
    file = tmp_path / "a.mp3"
    file.write_bytes(quiet + without_header(data))
    whole, _ = heard(file)
    part, _ = heard(file, start=7.0, duration=1.0)
    np.testing.assert_allclose(part, whole[7 * RATE : 8 * RATE], atol=1e-5)


def test_parts_far_behind_the_beginning_are_what_the_whole_file_has_there(tmp_path):
    wave = noise(RATE * 9)
    for name, codec, container in (
        ("a.mp3", "libmp3lame", "mp3"),
        ("a.m4a", "aac", "ipod"),
        ("a.flac", "flac", "flac"),
    ):
        write_sound(tmp_path / name, wave, codec, container)
        whole, _ = heard(tmp_path / name)
        for start in (3.9, 5.0, 8.25):
            part, _ = heard(tmp_path / name, start=start, duration=0.5)
            np.testing.assert_allclose(part, whole[round(start * RATE) :][: RATE // 2], atol=1e-5)
        with pytest.raises(MediaError, match="ends before"):
            heard(tmp_path / name, start=9.5)


def test_joined_mp3s_are_read_one_after_the_other(tmp_path):
    other = noise(30000, 1)
    file = tmp_path / "a.mp3"
    file.write_bytes(mp3(tmp_path) + mp3(tmp_path, other))
    wave, warned = heard(file)
    assert len(wave) == N + 30000
    assert not warned
    assert late_by(wave[N:], other) == 0


def test_joined_mp3s_may_differ_in_rate_and_channels(tmp_path):
    file = tmp_path / "a.mp3"
    file.write_bytes(mp3(tmp_path) + mp3(tmp_path, noise(22050, 1), 44100, "stereo"))
    wave, _ = heard(file)
    assert abs(len(wave) - N - RATE // 2) <= 2
    resampled = soundfile_resampled(noise(22050, 1), 44100)
    assert abs(late_by(wave[N:], resampled)) <= 1


def soundfile_resampled(wave, rate):
    import soxr

    return soxr.resample(wave, rate, RATE)


@pytest.mark.parametrize("kinds", [("VORBIS", "VORBIS"), ("OPUS", "OPUS"), ("OPUS", "VORBIS")])
def test_chained_ogg(tmp_path, kinds):
    data = b""
    for number, kind in enumerate(kinds):
        buffer = io.BytesIO()
        soundfile.write(buffer, noise(N, number), RATE, format="OGG", subtype=kind)
        data += buffer.getvalue()
    (tmp_path / "a.ogg").write_bytes(data)
    wave, _ = heard(tmp_path / "a.ogg")
    assert len(wave) == 2 * N
    assert late_by(wave[N:], noise(N, 1)) == 0


def test_the_same_ogg_twice(tmp_path):
    data = write_sound(tmp_path / "a.opus", WAVE, "libopus", "ogg")
    assert len(heard(io.BytesIO(data + data))[0]) == 2 * N


def test_flac_of_unknown_or_wrong_length(tmp_path):
    data = bytearray(write_sound(tmp_path / "a.flac", WAVE, "flac", "flac"))
    for claimed in (0, 1000, 100 * N):
        data[21] &= 0xF0
        data[22:26] = struct.pack(">I", claimed)
        (tmp_path / "b.flac").write_bytes(data)
        wave, warned = heard(tmp_path / "b.flac")
        assert len(wave) == N
        assert bool(warned) == (claimed > N)
        assert len(heard(tmp_path / "b.flac", start=0.5)[0]) == N - RATE // 2


FORMATS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("RF64", "PCM_16"),
           ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16")]  # fmt: skip


@pytest.mark.parametrize("claimed", [0, 4000])
@pytest.mark.parametrize(("form", "kind"), FORMATS)
def test_headers_that_were_never_finished(tmp_path, form, kind, claimed):
    file = tmp_path / "a.bin"
    soundfile.write(file, WAVE, RATE, kind, format=form)
    whole, warned = heard(file)
    assert len(whole) == N
    assert not warned
    data = bytearray(file.read_bytes())
    if form == "WAV":
        at = data.index(b"data")
        data[at + 4 : at + 8] = struct.pack("<I", claimed)
        data[4:8] = bytes(4)
    elif form == "RF64":
        at = data.index(b"ds64")
        data[at + 16 : at + 24] = struct.pack("<Q", claimed)
    elif form == "AIFF":
        at = data.index(b"SSND")
        data[at + 4 : at + 8] = struct.pack(">I", claimed + 8)
    elif form == "AU":
        data[8:12] = struct.pack(">I", claimed)
    else:
        at = data.index(b"data")
        data[at + 4 : at + 12] = struct.pack(">q", claimed + 4)
    file.write_bytes(data)
    wave, warned = heard(file)
    assert np.array_equal(wave[:N], whole)  # then possibly a byte of padding
    assert len(wave) <= N + 1
    assert "never finished" in warned[0]


def test_what_stands_behind_the_samples_is_no_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", WAVE, RATE)
    data = (tmp_path / "a.wav").read_bytes()
    for behind in (
        b"LIST\x04\0\0\0INFO" + b"id3 " + struct.pack("<I", 8000) + bytes(8000),
        bytes(9000),
        b"TAG" + bytes(125),
    ):
        (tmp_path / "b.wav").write_bytes(data + behind)
        wave, warned = heard(tmp_path / "b.wav")
        assert len(wave) == N
        assert not warned


def test_a_wav_that_was_cut_off_is_read_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "a.wav", WAVE, RATE)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[: 44 + N])
    wave, warned = heard(tmp_path / "a.wav")
    assert len(wave) == N // 2
    assert "cut off" in warned[0]


def test_gsm_in_wav(tmp_path):
    soundfile.write(tmp_path / "a.wav", WAVE[:23829], 8000, "GSM610")
    wave, _ = heard(tmp_path / "a.wav")
    assert 0 <= len(wave) - 23829 < 640


def test_other_telephone_codecs_in_wav(tmp_path):
    for kind in ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "G721_32", "NMS_ADPCM_16"):
        soundfile.write(tmp_path / "a.wav", WAVE, 8000, kind)
        assert 0 <= len(heard(tmp_path / "a.wav")[0]) - N < 4096, kind


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [("a.m4a", "aac", "ipod"), ("a.ts", "aac", "mpegts"), ("a.aac", "aac", "adts"), ("a.flac", "flac", "flac")],
)
def test_a_damaged_packet_costs_little_more_than_itself(tmp_path, name, codec, container):
    data = bytearray(write_sound(tmp_path / name, WAVE, codec, container))
    middle = len(data) // 2
    data[middle : middle + 150] = np.random.default_rng(1).bytes(150)
    (tmp_path / name).write_bytes(data)
    wave, warned = heard(tmp_path / name)
    assert -2 * 4608 <= len(wave) - N <= 2048
    assert -2 * 4608 <= late_by(wave[-15000:], WAVE[len(wave) - 15000 :]) <= 0
    assert "damaged" in warned[0]


def test_a_cut_file_is_read_and_the_loss_is_said(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "200000"}
    data = write_sound(tmp_path / "a.mp4", noise(3 * RATE), "aac", "mp4", options=options)
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    wave, warned = heard(tmp_path / "a.mp4")
    assert len(wave) > RATE
    assert "damaged" in warned[0]
    for name, codec, container in (("b.mp3", "libmp3lame", "mp3"), ("b.flac", "flac", "flac")):
        data = write_sound(tmp_path / name, WAVE, codec, container)
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        wave, warned = heard(tmp_path / name)
        assert 0 < len(wave) < 0.7 * N
        assert "missing at its end" in warned[0]


def test_what_is_mostly_damage_has_to_be_salvaged(tmp_path):
    data = bytearray(write_sound(tmp_path / "a.m4a", noise(2 * RATE), "aac", "ipod"))
    at = data.index(b"mdat") + 8
    for n in range(4):
        place = at + 2000 + n * 3000
        data[place : place + 1500] = np.random.default_rng(n).bytes(1500)
    (tmp_path / "a.m4a").write_bytes(data)
    with pytest.raises(MediaError, match="salvage"):
        heard(tmp_path / "a.m4a")
    wave, warned = heard(tmp_path / "a.m4a", Reading(salvage=True))
    assert abs(len(wave) - 2 * RATE) <= 2048
    assert "could not be decoded" in warned[0]


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.flac", "a.ogg"])
def test_what_is_no_sound_is_an_error_of_the_project(tmp_path, name):
    for content in (b"", b"RIFF", os.urandom(5000), b"OggS" + bytes(100), b"fLaC" + bytes(50), b"ID3" + bytes(50)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError, match=name):
            load_audio(tmp_path / name)
