"""Stereo as mid and side: two streams of one file that come back in step."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, layered_model, speechlike, tiny_model
from kit.processes import run_cli

from josiecodec import Rate, TokenFile, decode_file, encode_file
from josiecodec.bitstream.container import TokenReader
from josiecodec.bitstream.header import AudioInfo, read_header, write_header
from josiecodec.coding.audio_decoder import in_step
from josiecodec.coding.stereo import side_level, side_levels, side_share
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


def test_files_and_arrays_give_the_same(model, image, data):
    with TokenReader(data) as reader:
        mid, side = reader.streams
        assert (mid.side, side.side, mid.length, side.length) == (False, True, LENGTH, LENGTH)
        assert mid.original_channels == 2
        assert side.levels <= mid.levels
        blocks = [block.stream for block in reader.blocks()]
        assert blocks == [0, 1] * 3
    again = model.compress(image, stereo=True)
    decoded = model.decompress(data)
    assert decoded.shape == (2, LENGTH)
    torch.testing.assert_close(model.decompress(again), decoded)
    halves = [model.decode(np.asarray(s.codes), LENGTH)[0, 0] for s in TokenFile.from_bytes(data).streams]
    torch.testing.assert_close(decoded, torch.stack([halves[0] + halves[1], halves[0] - halves[1]]))
    torch.testing.assert_close(model.decompress(data, mono=True)[0], halves[0])


def test_the_file_comes_back_as_stereo(model, data, tmp_path):
    (tmp_path / "a.josie").write_bytes(data)
    decode_file(tmp_path / "a.josie", codecs=[model])
    decode_file(tmp_path / "a.josie", tmp_path / "mono.wav", codecs=[model], mono=True)
    decode_file(tmp_path / "a.josie", tmp_path / "other.m4a", codecs=[model], sample_rate=44100)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    want = model.decompress(data).clamp(-1, 1).t().numpy()
    assert samples.shape == (LENGTH, 2)
    np.testing.assert_allclose(samples, want, atol=1e-4)
    mono, _ = soundfile.read(tmp_path / "mono.wav", dtype="float32")
    np.testing.assert_allclose(mono, model.decompress(data, mono=True)[0].clamp(-1, 1).numpy(), atol=1e-4)
    assert (tmp_path / "other.m4a").stat().st_size > 1000


def test_a_rate_is_of_the_whole_file(recording, image, tmp_path):
    model = layered_model()
    for kbps in (1.5, 3.0):
        done = encode_file(recording, tmp_path / f"{kbps}.josie", kbps=kbps, codecs=[model], stereo=True)
        assert done.size == (tmp_path / f"{kbps}.josie").stat().st_size
        assert 8 * done.size <= 1000 * kbps * done.seconds
        assert 8 * len(model.compress(image, kbps=kbps, stereo=True)) <= 1000 * kbps * done.seconds
    with pytest.raises(CodesError):
        model.compress(image)
    with pytest.raises(CodesError):
        model.compress(image[0], stereo=True)


def test_shares():
    assert side_level(1.0, 0.0) == -np.inf
    assert side_share(0.0) == 0.5 > side_share(-10.0) > side_share(-30.0) == side_share(-50.0) > 0
    assert side_levels(9, 0.0) == side_levels(9, 10.0) == 9
    assert 1 <= side_levels(9, -40.0) < 4
    assert side_levels(1, -40.0) == 1


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


def test_opposite_channels_are_kept():
    model = load("jodio-24k-v3")
    wave = 0.5 * speechlike(20)[0, 0]
    data = model.compress(torch.stack([wave, -wave]), stereo=True)
    left, right = model.decompress(data)
    assert float((left + right).square().sum()) < 0.1 * float((left - right).square().sum())


def test_damage_costs_only_its_half(model, data, tmp_path):
    broken = bytearray(data)
    third = data.find(b"\x42\x10")  # the first block of the side
    broken[third + 20] ^= 255
    (tmp_path / "a.josie").write_bytes(bytes(broken))
    with pytest.raises(FormatError):
        decode_file(tmp_path / "a.josie", codecs=[model])
    done = decode_file(tmp_path / "a.josie", tmp_path / "a.wav", codecs=[model], salvage=True)
    assert done.problems
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert len(samples) == LENGTH
    first = 100 * 1920
    np.testing.assert_array_equal(samples[:first, 0], samples[:first, 1])
    assert np.abs(samples[first:, 0] - samples[first:, 1]).max() > 1e-3
    (tmp_path / "cut.josie").write_bytes(data[: len(data) * 2 // 3])
    assert decode_file(tmp_path / "cut.josie", tmp_path / "cut.wav", codecs=[model], salvage=True).problems


def test_halves_that_are_not_in_step(model, data, monkeypatch):
    from josiecodec.coding import audio_decoder

    monkeypatch.setattr(audio_decoder, "MAX_APART_SECONDS", 1)
    with TokenReader(data) as reader:
        blocks = sorted(reader.blocks(), key=lambda block: -block.stream)

    def decoders(salvage):
        return {i: audio_decoder.BlockDecoder(model, info, None, salvage) for i, info in enumerate(reader.streams)}

    with pytest.raises(FormatError, match="in step"):
        list(in_step(blocks, decoders(False)))
    parts = list(in_step(blocks, decoders(True), True))
    assert sum(part.shape[1] for part in parts) == LENGTH


def test_headers_with_a_side():
    mid = AudioInfo("a", "0" * 16, 4, 64, 1000, RATE, 1920, RATE, 2)
    side = replace(mid, levels=2, side=True)
    data = write_header([mid, side])
    assert data[6] == 3
    assert write_header([mid])[6] == 2
    assert read_header(data)[0] == [mid, side]
    for wrong in (
        [side],
        [side, mid],
        [mid, replace(side, length=5)],
        [mid, side, side],
        [mid, replace(side, model="b")],
    ):
        with pytest.raises(FormatError, match="side"):
            write_header(wrong)
    old = bytearray(data)
    old[6] = 2
    with pytest.raises(FormatError):
        read_header(bytes(old))


def test_the_command_line(model, recording, tmp_path):
    save(model, tmp_path / "m")
    load(tmp_path / "m")
    out = tmp_path / "a.josie"
    said = run_cli("encode", recording, out, "--model", tmp_path / "m")
    assert "--stereo keeps two" in said.stderr
    said = run_cli("encode", recording, out, "--model", tmp_path / "m", "--stereo", "--overwrite")
    assert "channels" not in said.stderr
    shown = json.loads(run_cli("info", out, "--json").stdout)["streams"]
    assert [s["half"] for s in shown] == ["mid", "side"]
    assert "side: half the difference" in run_cli("info", out).stdout
    run_cli("trim", out, tmp_path / "b.josie", "--n-q", "2")
    run_cli("decode", tmp_path / "b.josie", tmp_path / "b.wav", "--model", tmp_path / "m")
    run_cli("decode", out, tmp_path / "m.wav", "--mono", "--model", tmp_path / "m")
    assert soundfile.info(tmp_path / "b.wav").channels == 2
    assert soundfile.info(tmp_path / "m.wav").channels == 1
    assert "one stream" in run_cli("trim", out, tmp_path / "c.josie", "--kbps", "1", code=2).stderr


def test_rates_that_cannot_be_kept(model, image):
    with pytest.raises(CodecError):
        model.compress(image, rate=Rate(kbps=0.1), stereo=True)
