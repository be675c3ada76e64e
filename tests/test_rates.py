"""What callers may ask of an encoder: levels, rates of whole files, effort; of audio and vision in the same way."""

from __future__ import annotations

import dataclasses
import io
import json
import sys

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from kit.audio import RATE, speechlike, tiny_model
from kit.vision import CONV, model, scene

import josiecodec
from josiecodec import CodecError, EncoderSettings, Rate, TokenFile
from josiecodec.coding.audio import encode_file
from josiecodec.coding.audio_rate_control import fit_levels
from josiecodec.errors import CodesError
from josiecodec.hub.store import save
from josiecodec.media.images import save_image
from josiecodec_cli.files import encode
from josiecodec_cli.trim import trim

SECONDS = 16


@pytest.fixture(scope="module")
def jodio():
    return josiecodec.load("jodio-24k")


@pytest.fixture(scope="module")
def jovio():
    return model(CONV)


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    soundfile.write(path, speechlike(SECONDS * 12.5)[0, 0].numpy(), RATE)
    return path


def kbps(data: bytes, seconds: float = SECONDS) -> float:
    return 8 * len(data) / seconds / 1000


@pytest.mark.parametrize("wanted", [0.3, 1.1, 2.5, 4.4])
def test_a_bitrate_is_that_of_the_whole_file(jodio, talk, tmp_path, wanted):
    done = encode_file(jodio, talk, tmp_path / "a.josie", rate=Rate(kbps=wanted))
    data = (tmp_path / "a.josie").read_bytes()
    assert done.size == len(data)
    assert done.seconds == SECONDS
    assert TokenFile.from_bytes(data).streams[0].info.levels == done.n_q
    assert kbps(data) <= wanted
    if done.n_q < jodio.n_q:
        encode_file(jodio, talk, tmp_path / "b.josie", done.n_q + 1)
        assert kbps((tmp_path / "b.josie").read_bytes()) > wanted
    # It is the file that so many levels make, whichever way it comes in.
    encode_file(jodio, talk, tmp_path / "c.josie", done.n_q)
    assert (tmp_path / "c.josie").read_bytes() == data
    out = io.BytesIO()
    with open(talk, "rb") as source:
        assert encode_file(jodio, source, out, rate=Rate(kbps=wanted)).n_q == done.n_q
    assert out.getvalue() == data


def test_a_bitrate_in_memory(jodio):
    x = speechlike(100)[0]
    data = jodio.compress(x, rate=Rate(kbps=2.0))
    levels = TokenFile.from_bytes(data).streams[0].info.levels
    assert kbps(data, 8) <= 2.0 < kbps(jodio.compress(x, levels + 1), 8)


def test_a_bitrate_that_cannot_be_kept_names_the_least(jodio, talk, tmp_path):
    with pytest.raises(CodecError, match=r"0\.05 kbit/s cannot be met: one level takes 0\.\d+ kbit/s"):
        encode_file(jodio, talk, tmp_path / "a.josie", rate=Rate(kbps=0.05))
    assert not list(tmp_path.iterdir())
    with pytest.raises(CodecError, match="one level takes"):  # of a short file most is the header
        jodio.compress(speechlike(3)[0], rate=Rate(kbps=1.0))
    with pytest.raises(CodecError, match="empty"):
        jodio.compress(torch.zeros(0), rate=Rate(kbps=1.0))


def test_levels_are_found_from_any_estimate():
    random = np.random.default_rng(0)
    for _ in range(200):
        sizes = np.cumsum(random.integers(5, 60, 12))
        exact = random.random() < 0.5
        estimate = 8.0 * (np.diff(sizes, prepend=0) if exact else random.integers(1, 80, 12))
        wanted = float(random.integers(int(sizes[0]), sizes[-1] + 20))
        tried: list[int] = []

        def encode(n: int, sizes=sizes, tried=tried) -> tuple[bytes, float]:
            tried.append(n)
            return bytes(int(sizes[n - 1])), 1.0

        n, data = fit_levels(encode, estimate, 8 * wanted / 1000)
        assert len(data) == sizes[n - 1] <= wanted
        assert len(tried) == len(set(tried))
        assert not exact or n == 12 or sizes[n] > wanted


def test_rates_that_do_not_fit_are_one_error(jodio, jovio, tmp_path):
    image, wave = scene(20, 20)[0, :, 0], torch.zeros(1, 4000)
    for rate in (Rate(bpp=0.2), Rate(rd_lambda=0.1)):
        with pytest.raises(CodecError, match="is not a rate of audio: use n_q or kbps"):
            jodio.compress(wave, rate=rate)
        with pytest.raises(CodecError, match="is not a rate of audio"):
            encode_file(jodio, tmp_path / "none.wav", tmp_path / "a.josie", rate=rate)
    with pytest.raises(CodecError, match="kbps is not a rate of image"):
        jovio.compress(image, rate=Rate(kbps=3))
    for codec, x in ((jodio, wave), (jovio, image)):
        with pytest.raises(CodecError, match="either n_q or rate"):
            codec.compress(x, 2, rate=Rate(n_q=2))
        with pytest.raises(CodesError, match="whole number"):
            codec.compress(x, Rate(n_q=2))
        with pytest.raises(CodecError):
            codec.compress(x, 99)
        with pytest.raises(CodesError):
            codec.decompress(codec.compress(x, 2), 0)


def test_a_leading_axis_of_one_makes_no_difference(jodio, jovio):
    wave = speechlike(5)
    data = jodio.compress(wave, 3)
    assert data == jodio.compress(wave[0], 3) == jodio.compress(wave[0, 0], 3)
    back = jodio.decompress(data)
    assert back.shape == (1, 5 * 1920)
    assert torch.equal(jodio.decompress(data, 2), jodio.decode(jodio.encode(wave, 3)[:, :2], 5 * 1920)[0])
    for pictures in (1, 3):
        video = scene(20, 36, pictures)
        data = jovio.compress(video, 2)
        assert data == jovio.compress(video[0], 2)
        assert jovio.decompress(data).shape == video.shape[1:]
    image = scene(20, 36)[:, :, 0]
    data = jovio.compress(image, 2)
    assert data == jovio.compress(image[0], 2)
    assert jovio.decompress(data).shape == (3, 20, 36)
    for codec, two in ((jodio, torch.zeros(2, 1, 100)), (jovio, torch.zeros(2, 3, 1, 8, 8))):
        with pytest.raises(CodesError, match="at a time"):
            codec.compress(two)


@pytest.mark.parametrize("kind", ["audio", "vision"])
def test_settings_of_a_call_are_used_and_change_no_model(kind):
    codec, x = (tiny_model(), speechlike(20)) if kind == "audio" else (model(CONV), scene(96, 96)[:, :, 0])
    before, fingerprint = codec.settings, codec.fingerprint
    other = EncoderSettings(n_q=5, beams=1, rd_lambda=0.5)
    codes = codec.encode(x, settings=other)
    data = codec.compress(x, settings=other)
    assert codes.shape[1] == 5
    assert not torch.equal(codec.encode(x, 5), codes)
    stream = codec.streaming(settings=other)
    parts = [stream.encode(x if kind == "audio" else x[:, :, None]), stream.flush()]
    assert torch.equal(torch.cat(parts, 2).reshape(codes.shape), codes)
    assert data != codec.compress(x)
    assert codec.settings == before
    assert codec.fingerprint == fingerprint
    codec.settings = other
    assert torch.equal(codec.encode(x), codes)
    assert codec.compress(x) == data
    with pytest.raises(CodesError):
        codec.encode(x, settings=dataclasses.replace(other, n_q=64))


def command(function, *args) -> str:
    """What a command writes, run in this process."""
    done = CliRunner().invoke(function, [str(a) for a in args])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_command_line_keeps_rates_and_takes_effort(talk, tmp_path):
    result = json.loads(command(encode, talk, tmp_path / "a.josie", "--kbps", 2.5, "--json"))
    assert result["kind"] == "audio"
    assert 2.3 < result["kbps"] <= 2.5
    with pytest.raises(CodecError, match="one level takes"):
        command(encode, talk, tmp_path / "no.josie", "--kbps", 0.05)
    command(encode, talk, tmp_path / "b.josie", "--beams", 1)
    command(encode, talk, tmp_path / "c.josie")
    assert (tmp_path / "b.josie").read_bytes() != (tmp_path / "c.josie").read_bytes()
    command(trim, tmp_path / "a.josie", tmp_path / "less.josie", "--kbps", 1.0)
    size = (tmp_path / "less.josie").stat().st_size
    levels = TokenFile.read(tmp_path / "less.josie").streams[0].info.levels
    assert 8 * size <= 1000 * SECONDS < 8 * len(TokenFile.read(tmp_path / "a.josie").trimmed(levels + 1).to_bytes())


def test_standard_input_keeps_a_bitrate(talk, tmp_path, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(talk.read_bytes())))
    codec = tiny_model()
    done = encode_file(codec, "-", tmp_path / "a.josie", rate=Rate(kbps=0.35))
    assert 0.3 < kbps((tmp_path / "a.josie").read_bytes()) <= 0.35
    assert done.seconds == SECONDS
    assert done.n_q == encode_file(codec, talk, tmp_path / "b.josie", rate=Rate(kbps=0.35)).n_q


def test_effort_of_images(jovio, tmp_path):
    save_image(scene(96, 96)[0, :, 0], tmp_path / "x.png")
    folder = save(jovio, tmp_path / "model")
    for beams in (1, 8):
        target = tmp_path / f"{beams}.josie"
        out = command(encode, tmp_path / "x.png", target, "--model", folder, "--beams", beams, "--json")
        assert json.loads(out)["kind"] == "image"
    assert (tmp_path / "1.josie").read_bytes() != (tmp_path / "8.josie").read_bytes()
