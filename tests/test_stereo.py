"""Stereo: the mix to mono and where sounds are, two streams of one file."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, layered_model, speechlike, tiny_model
from kit.processes import run_cli
from PIL import Image

from josiecodec import Rate, TokenFile, decode_file, encode_file
from josiecodec.audio.stereo_image import BANDS, Panner, find_image
from josiecodec.bitstream.container import TokenReader
from josiecodec.bitstream.header import AudioInfo, read_header, write_header
from josiecodec.bitstream.statistics import code_usage
from josiecodec.coding.stereo import ImageDecoder, image_file
from josiecodec.errors import CodecError, CodesError, FormatError
from josiecodec.hub.store import load, save

LENGTH = round(230.3 * 1920)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def image():
    """Left and right [2, T]: a voice on the left, a quieter one on the right."""
    voices = speechlike(231, batch=2)[:, 0, :LENGTH]
    return torch.stack([voices[0] + 0.2 * voices[1], 0.3 * voices[0] + 0.6 * voices[1]])


@pytest.fixture(scope="module")
def recording(image, tmp_path_factory):
    path = tmp_path_factory.mktemp("stereo") / "two.wav"
    soundfile.write(path, image.t().numpy(), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def data(model, recording, tmp_path_factory):
    target = tmp_path_factory.mktemp("coded") / "two.josie"
    encode_file(recording, target, codecs=[model], stereo=True)
    return target.read_bytes()


def test_angles_come_back():
    """Tones in different bands, each panned by itself."""
    time = torch.arange(20 * 1920) / RATE
    turns = (0, 3, 6, 2, 5, 1, 4)
    left, right = torch.zeros_like(time), torch.zeros_like(time)
    for tone, turn in zip((200, 600, 1100, 1800, 2800, 4400, 7000), turns):
        wave = 0.1 * torch.sin(2 * math.pi * tone * time)
        left, right = left + math.cos(turn * math.pi / 12) * wave, right + math.sin(turn * math.pi / 12) * wave
    blocks = torch.stack([left, right]).split(777, 1)
    angles = np.concatenate(list(find_image((part.numpy() for part in blocks), 1920, RATE)))
    assert angles.shape == (20, BANDS)
    np.testing.assert_array_equal(angles[1:-1], np.tile(turns, (18, 1)))
    panner, given = Panner(1920, RATE), angles.astype(np.int64)
    parts = [panner(part.numpy(), given[panner.frame :]) for part in ((left + right) / 2).split(1000)]
    again = torch.from_numpy(np.concatenate([*parts, panner.finish(given[panner.frame :])], 1))
    assert again.shape == (2, len(left))
    error = (again - torch.stack([left, right]))[:, 2000:-2000].square().mean()
    assert error < 1e-3 * left.square().mean()
    torch.testing.assert_close(again.mean(0), (left + right) / 2)


def test_frames_that_no_decoder_takes_are_refused(model, image):
    info = replace(model.stream_info(1, None), frame_size=1921)
    with pytest.raises(CodecError, match="multiple of 4 samples, not of 1921"):
        image_file([image.numpy()], info)


@pytest.mark.parametrize("length", [0, 1, 479, 480, 1920, 1921, 5000])
def test_lengths_are_exact(length):
    wave = 0.1 * torch.randn(2, length, generator=torch.Generator().manual_seed(0))
    angles = [part for part in find_image((part.numpy() for part in wave.split(100, 1)), 1920, RATE)]
    assert sum(map(len, angles)) == -(-length // 1920)
    panner = Panner(1920, RATE)
    given = np.concatenate([*angles, np.full((0, BANDS), 3)]).astype(np.int64)
    parts = [panner(part.numpy(), given[panner.frame :]) for part in wave[0].split(333)]
    assert np.concatenate([*parts, panner.finish(given[panner.frame :])], 1).shape == (2, length)


def test_files_and_arrays_give_the_same(model, image, data):
    with TokenReader(data) as reader:
        sound, place = reader.streams
        assert (sound.image, place.image, sound.length, place.length) == (False, True, LENGTH, LENGTH)
        assert sound.original_channels == 2
        assert [block.stream for block in reader.blocks()][:4] == [1, 0] * 2
    assert model.compress(image, stereo=True)[:40] == data[:40]
    decoded = model.decompress(data)
    assert decoded.shape == (2, LENGTH)
    mono = model.decompress(data, mono=True)
    torch.testing.assert_close(decoded.mean(0), mono[0])
    apart = TokenFile.from_bytes(data).to_bytes()  # one stream after the other
    torch.testing.assert_close(model.decompress(apart), decoded)
    torch.testing.assert_close(mono, model.decompress(model.compress(image.mean(0))))
    want, got = image.square().mean(1), decoded.square().mean(1)
    assert float(want[0] / want[1]) == pytest.approx(float(got[0] / got[1]), rel=0.5)


def test_the_file_comes_back_as_stereo(model, data, tmp_path):
    (tmp_path / "a.josie").write_bytes(data)
    decode_file(tmp_path / "a.josie", codecs=[model])
    decode_file(tmp_path / "a.josie", tmp_path / "mono.wav", codecs=[model], mono=True)
    decode_file(tmp_path / "a.josie", tmp_path / "other.m4a", codecs=[model], sample_rate=44100)
    TokenFile.read(tmp_path / "a.josie").write(tmp_path / "apart.josie")
    decode_file(tmp_path / "apart.josie", codecs=[model])
    assert (tmp_path / "apart.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    want = model.decompress(data).clamp(-1, 1).t().numpy()
    assert samples.shape == (LENGTH, 2)
    np.testing.assert_allclose(samples, want, atol=1e-4)
    mono, _ = soundfile.read(tmp_path / "mono.wav", dtype="float32")
    np.testing.assert_allclose(mono, model.decompress(data, mono=True)[0].clamp(-1, 1).numpy(), atol=1e-4)
    assert (tmp_path / "other.m4a").stat().st_size > 1000


def test_statistics_and_representations_know_the_image(data, tmp_path):
    (tmp_path / "a.josie").write_bytes(data)
    with TokenReader(data) as reader:
        sound = reader.streams[0]
    assert code_usage([tmp_path / "a.josie"]).counts.sum() == sound.units * sound.levels
    file = TokenFile.from_bytes(data)
    assert "stereo image" in repr(file)
    assert "stereo image" in file._repr_html_()


def test_a_rate_is_of_the_whole_file(image, tmp_path):
    model = layered_model()
    soundfile.write(tmp_path / "a.wav", image[:, : 60 * 1920].t().numpy(), RATE)
    done = encode_file(tmp_path / "a.wav", kbps=1.5, codecs=[model], stereo=True)
    assert done.size == (tmp_path / "a.josie").stat().st_size
    assert 8 * done.size <= 1500 * done.seconds
    assert 8 * len(model.compress(image[:, : 60 * 1920], kbps=1.5, stereo=True)) <= 1500 * done.seconds
    for wrong in ((image, False), (image[0], True)):
        with pytest.raises(CodesError):
            model.compress(wrong[0], stereo=wrong[1])
    with pytest.raises(CodecError, match="image alone"):
        model.compress(image, rate=Rate(kbps=0.1), stereo=True)


def test_what_is_no_stereo_becomes_mono(model, tmp_path):
    wave = speechlike(20)[0, 0].numpy()
    for channels in (1, 2, 3):
        soundfile.write(tmp_path / f"{channels}.wav", np.repeat(wave[:, None], channels, 1), RATE)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            encode_file(tmp_path / f"{channels}.wav", codecs=[model], stereo=True)
        assert any("two channels, not 3" in str(w.message) for w in seen) == (channels == 3)
        with TokenReader(tmp_path / f"{channels}.josie") as reader:
            assert len(reader.streams) == 1
    assert len(TokenFile.from_bytes(model.compress(np.stack([wave, wave]), stereo=True)).streams) == 1


def test_damage_to_the_image_leaves_the_sound(model, data, tmp_path):
    broken = bytearray(data)
    broken[data.find(b"\x42\x10") + 20] ^= 255  # the first block of the image
    (tmp_path / "a.josie").write_bytes(bytes(broken))
    with pytest.raises(FormatError):
        decode_file(tmp_path / "a.josie", codecs=[model])
    done = decode_file(tmp_path / "a.josie", tmp_path / "a.wav", codecs=[model], salvage=True)
    assert done.problems
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert len(samples) == LENGTH
    first = 100 * 1920 - 480
    np.testing.assert_allclose(samples[:first, 0], samples[:first, 1], atol=1e-4)
    want = model.decompress(data)[:, first + 480 :].clamp(-1, 1).t().numpy()
    np.testing.assert_allclose(samples[first + 960 :], want[480:], atol=1e-4)
    (tmp_path / "cut.josie").write_bytes(data[: len(data) * 2 // 3])
    assert decode_file(tmp_path / "cut.josie", tmp_path / "cut.wav", codecs=[model], salvage=True).problems


def test_the_image_comes_before_the_sound(data):
    with TokenReader(data) as reader:
        info = reader.streams[1]
        block = next(block for block in reader.blocks() if block.stream == 1)
    with pytest.raises(FormatError, match="missing"):
        ImageDecoder(info)(torch.zeros(1920))
    with pytest.raises(FormatError, match="missing"):
        ImageDecoder(info).push(replace(block, first=5))
    with pytest.raises(FormatError, match="kind"):
        ImageDecoder(replace(info, levels=3))
    decoder = ImageDecoder(info, salvage=True)
    decoder.push(replace(block, first=5))
    decoder.push(block)  # out of place
    assert decoder(torch.ones(9600)).shape[1] >= 9000


def test_headers_with_an_image():
    mid = AudioInfo("a", "0" * 16, 4, 64, 1000, RATE, 1920, RATE, 2)
    side = replace(mid, model="stereo", levels=2, image=True)
    data = write_header([mid, side])
    assert data[6] == 3
    assert write_header([mid])[6] == 2
    assert read_header(data)[0] == [mid, side]
    for wrong in (
        [side],
        [side, mid],
        [mid, replace(side, length=5)],
        [mid, side, side],
        [mid, replace(side, frame_size=960)],
    ):
        with pytest.raises(FormatError, match="image"):
            write_header(wrong)
    old = bytearray(data)
    old[6] = 2
    with pytest.raises(FormatError):
        read_header(bytes(old))


def test_pictures_are_told_nothing_of_videos(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="stereo is for audio files") as caught:
        encode_file(tmp_path / "a.png", stereo=True)
    assert not any("video" in str(warning.message) for warning in caught)


def test_the_command_line(model, recording, tmp_path):
    save(model, tmp_path / "m")
    load(tmp_path / "m")
    out = tmp_path / "a.josie"
    said = run_cli("encode", recording, out, "--model", tmp_path / "m", "--stereo")
    assert "channels" not in said.stderr
    shown = json.loads(run_cli("info", out, "--json").stdout)["streams"]
    assert [s.get("stereo_image") for s in shown] == [None, True]
    alike = tmp_path / "alike.wav"
    soundfile.write(alike, np.repeat(speechlike(5)[0].t().numpy(), 2, 1), RATE)
    assert "equally loud" in run_cli("encode", alike, "--model", tmp_path / "m", "--stereo").stderr
    run_cli("trim", out, tmp_path / "b.josie", "--n-q", "2")
    run_cli("decode", tmp_path / "b.josie", tmp_path / "b.wav", "--model", tmp_path / "m")
    run_cli("decode", out, tmp_path / "m.wav", "--mono", "--model", tmp_path / "m")
    assert soundfile.info(tmp_path / "b.wav").channels == 2
    assert soundfile.info(tmp_path / "m.wav").channels == 1
    assert "one stream" in run_cli("trim", out, tmp_path / "c.josie", "--kbps", "1", code=2).stderr
