"""Quiet and loud recordings are coded at the usual level, and come back as loud as they were."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, layered_model, speechlike, tiny_model
from kit.processes import run_cli

from josiecodec import TokenFile, decode_file, decode_piece, encode_file
from josiecodec.audio.loudness import TARGET, USUAL, LoudnessMeter, amplified, factor, gain_of, usual_gain
from josiecodec.bitstream.bitpacking import code_bits
from josiecodec.bitstream.header import MAX_GAIN, AudioInfo, read_header, write_header
from josiecodec.coding import video
from josiecodec.coding.level import Level
from josiecodec.datasets.clips import Clip
from josiecodec.datasets.dataset import TokenDataset
from josiecodec.datasets.verify import problems
from josiecodec.errors import FormatError, MediaError
from josiecodec.evaluation.loudness import loudness
from josiecodec.media.audio_open import Reading
from josiecodec.tokenization.compare import compare
from josiecodec.tokenization.decode import clip_to_josie, decode_audio, decode_clip
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize

LENGTH = round(140.4 * 1920)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def quiet():
    """A voice [T] at -60 LUFS, as 16-bit files have it."""
    wave = speechlike(141, seed=4)[0, 0, :LENGTH].numpy()
    wave = wave * 10 ** ((-60 - measured(wave)) / 20)
    return (np.round(wave * 32768) / 32768).astype(np.float32)


@pytest.fixture(scope="module")
def path(quiet, tmp_path_factory):
    path = tmp_path_factory.mktemp("quiet") / "quiet.wav"
    soundfile.write(path, quiet, RATE, "PCM_16")
    return path


def measured(wave, step=5000):
    meter = LoudnessMeter(RATE)
    for first in range(0, len(wave), step):
        meter.push(wave[first : first + step])
    return meter.loudness()


def rms(wave):
    return float(np.sqrt(np.mean(np.square(np.asarray(wave, np.float64)))))


def test_the_measure_is_that_of_bs_1770():
    noise = np.random.default_rng(0).normal(0, 0.05, 3 * RATE).astype(np.float32)
    tone = 0.1 * np.sin(2 * np.pi * 997 / RATE * np.arange(3 * RATE)).astype(np.float32)
    pauses = np.concatenate([noise, np.zeros(3 * RATE, np.float32), 0.1 * noise])
    for wave, near in ((noise, 0.2), (tone, 0.05), (pauses, 0.5), (noise[:4000], 0.5)):
        assert measured(wave) == pytest.approx(loudness(wave, RATE), abs=near)
        assert measured(wave, 777) == measured(wave, 100000)
    assert measured(np.zeros(RATE)) == measured(np.zeros(0)) == -math.inf
    broken = np.where(np.arange(RATE) % 50, noise[:RATE], np.inf)
    assert measured(broken) == pytest.approx(measured(noise[:RATE]), abs=1)


def test_gains():
    assert [usual_gain(level, 0.001) for level in (-math.inf, *USUAL, TARGET)] == [0] * 4
    assert usual_gain(-55.0, 0.001) == round(TARGET + 55)
    assert usual_gain(-5.0, 1.0) == round(TARGET + 5)
    assert usual_gain(-55.0, 0.5) == 6  # no further than full scale
    assert usual_gain(-55.0, 1.0) == usual_gain(-55.0, 1.3) == 0
    dither = np.random.default_rng(0).integers(-1, 2, 4 * RATE) / 32768
    assert gain_of([dither], RATE) == 0  # silence is not blown up
    block = np.ones(3, np.float32)
    assert next(amplified([block], 0)) is block
    np.testing.assert_allclose(next(amplified([block], -6)) * factor(6), block, rtol=1e-6)


def test_samples_on_the_scale_of_whole_numbers_fit_a_header():
    assert [usual_gain(loudness, peak) for loudness, peak in ((71.0, 3e4), (101.0, 1e6))] == [-MAX_GAIN] * 2


def test_headers(model):
    info = model.stream_info(3, 1000)
    plain = write_header([info])
    for gain in (1, -1, MAX_GAIN, -MAX_GAIN):
        data = write_header([replace(info, gain=gain)])
        assert (len(data), data[6], plain[6]) == (len(plain) + 1, 5, 2)
        assert read_header(data) == ([replace(info, gain=gain)], len(data))
    for gain in (MAX_GAIN + 1, -MAX_GAIN - 1):
        with pytest.raises(FormatError, match="gain"):
            write_header([replace(info, gain=gain)])
    with pytest.raises(FormatError, match="gain"):
        write_header([info, replace(info, image=True, gain=2)])
    data = bytearray(write_header([replace(info, gain=5)]))
    for value in (0, 128 - 1, 64):
        data[-5] = value
        data[-4:] = struct.pack("<I", zlib.crc32(bytes(data[:-4])))
        if value:
            assert read_header(bytes(data))[0][0].gain == value - 64
        else:
            with pytest.raises(FormatError, match="gain"):
                read_header(bytes(data))


def test_headers_of_synthetic_sound():
    info = AudioInfo("m", "0123456789abcdef", 9, 2048, 5, 24000, 1920, 24000, 1, synthetic=True)
    for gain in (0, -3):
        said = [replace(info, gain=gain), replace(info, gain=0, synthetic=False)]
        data = bytearray(write_header(said))
        assert (data[6], read_header(bytes(data))) == (6, (said, len(data)))
    data[-5] = 2  # the origin of the second one
    data[-4:] = struct.pack("<I", zlib.crc32(bytes(data[:-4])))
    with pytest.raises(FormatError, match="origin"):
        read_header(bytes(data))
    with pytest.raises(FormatError, match="origin"):
        write_header([replace(info, synthetic=False), replace(info, image=True)])


@pytest.mark.parametrize("kind", ["base", "layers"])
def test_files_come_back_as_loud_as_they_were(kind, model, quiet, path, tmp_path):
    codec = model if kind == "base" else layered_model()
    n_q = None if kind == "base" else codec.n_q
    encode_file(path, tmp_path / "a.josie", codecs=[codec], n_q=n_q)
    data = (tmp_path / "a.josie").read_bytes()
    info = read_header(data)[0][0]
    assert info.gain == round(TARGET + 60) == gain_of([quiet], RATE)
    assert data == codec.compress(quiet, n_q)
    louder = codec.compress(quiet * factor(info.gain), n_q, gain=0)
    assert read_header(louder)[0][0].gain == 0
    whole = codec.decompress(data)[0]
    torch.testing.assert_close(whole, codec.decompress(louder)[0] * float(factor(-info.gain)), rtol=1e-4, atol=1e-6)
    decode_file(tmp_path / "a.josie", tmp_path / "a.wav", codecs=[codec])
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], whole.clamp(-1, 1), atol=2 / 32768)
    piece = np.asarray(decode_piece(data, 2.0, 1.0, codecs=[codec]))[0]
    np.testing.assert_allclose(piece, whole[2 * RATE : 3 * RATE], atol=1e-6)
    file = TokenFile.from_bytes(data)
    assert file.streams[0].info.gain == info.gain
    assert file.to_bytes(codec.known_tables) == data
    fewer = file.trimmed(2).to_bytes(codec.known_tables)
    assert read_header(fewer)[0][0].gain == info.gain
    assert rms(codec.decompress(fewer)) < 20 * rms(quiet)
    whole_codes = torch.from_numpy(file.streams[0].codes.astype(np.int64))[None]
    count = min(info.levels, codec.base_levels)
    assert torch.equal(whole_codes[:, :count], codec.encode(quiet * factor(info.gain), count))


def test_damaged_files(model, path, quiet, tmp_path):
    data = bytearray(model.compress(quiet, 4))
    data[len(data) // 3] ^= 255
    (tmp_path / "a.josie").write_bytes(data)
    decode_file(tmp_path / "a.josie", codecs=[model], salvage=True)
    whole = model.decompress(model.compress(quiet, 4))[0]
    wave = soundfile.read(tmp_path / "a.wav")[0]
    assert len(wave) == LENGTH
    assert rms(wave[-RATE:]) == pytest.approx(rms(whole[-RATE:]), rel=0.3)  # of another phase, as loud as it was


def test_stereo_and_loud_recordings(model, quiet, tmp_path):
    two = np.stack([quiet, 0.3 * quiet])
    data = model.compress(two, stereo=True)
    sound, image = read_header(data)[0]
    assert (sound.gain > 20, image.gain, data[6]) == (True, 0, 5)
    left, right = model.decompress(data)
    assert rms(left) > rms(right)
    loud = np.clip(quiet * 10 ** (55 / 20), -1, 1).astype(np.float32)
    gain = read_header(model.compress(loud))[0][0].gain
    assert gain == round(TARGET - measured(loud)) < 0
    soundfile.write(tmp_path / "two.wav", two.T, RATE, "FLOAT")
    encode_file(tmp_path / "two.wav", tmp_path / "two.josie", codecs=[model], stereo=True)
    assert (tmp_path / "two.josie").read_bytes()[:60] == data[:60]


def test_usual_recordings_and_codes_are_what_they_were(model, quiet):
    wave = quiet * factor(30)
    data = model.compress(wave)
    assert (data[6], read_header(data)[0][0].gain) == (2, 0)
    assert data == model.compress(wave, gain=0)
    kbps = 4 * code_bits(model.codebook_size) * model.frame_rate / 1000 + 0.5
    codes = model.encode(quiet, kbps=kbps)  # at their own level, for `decode` knows of none
    assert torch.equal(codes, model.encode(quiet, codes.shape[1]))


def test_datasets(model, quiet, path, tmp_path):
    soundfile.write(path.parent / "usual.wav", quiet * factor(30), RATE, "FLOAT")
    for seconds in (60.0, 1.0):  # in batches, and too long for one
        out = tmp_path / f"d{seconds:g}"
        tokenize(model, make_plan(path.parent), out, Settings(4, batch_seconds=seconds))
        dataset = TokenDataset(out)
        clips = {dataset[i].meta["source"]: dataset[i] for i in range(2)}
        clip = clips["quiet.wav"]
        assert clip.meta["gain_db"] == gain_of([quiet], RATE)
        assert "gain_db" not in clips["usual.wav"].meta
        assert not list(problems(out))
        assert [c.equal for c in compare(model, dataset, path.parent, 2)] == [1, 1]
        want = model.decompress(model.compress(quiet, 4))[0]
        torch.testing.assert_close(torch.cat(list(decode_audio(model, clip))), want, rtol=1e-4, atol=1e-6)
        assert read_header(clip_to_josie(model, clip))[0][0].gain == clip.meta["gain_db"]
        decode_clip(model, dataset.info, clip, tmp_path / "c.wav")
        assert rms(soundfile.read(tmp_path / "c.wav")[0]) == pytest.approx(rms(want), rel=0.2)
    for value in (64, 1.5, "3", True):
        with pytest.raises(FormatError, match="gain"):
            list(decode_audio(model, Clip(clip.codes, clip.meta | {"gain_db": value})))


def test_the_command_line_says_so(model, quiet, tmp_path):
    (tmp_path / "a.josie").write_bytes(model.compress(quiet, 2))
    assert f"+{round(TARGET + 60)} dB while it was coded" in run_cli("info", tmp_path / "a.josie").stdout


def test_sound_of_a_film_whose_loudness_cannot_be_measured_is_told(monkeypatch):
    def refused(*_):
        raise MediaError("a.mp4: damaged audio file")

    monkeypatch.setattr(video.Level, "of", refused)
    with pytest.warns(UserWarning, match="damaged audio file; its sound is coded as loud as it is"):
        assert video._level(None, "a.mp4", None) == Level()
    with pytest.raises(MediaError):
        video._level(None, "a.mp4", Reading(normalize=True))
