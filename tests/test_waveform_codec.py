"""A codec with a waveform layer: levels, streams, files, saving."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_config, tiny_model, tiny_waveform

from josiecodec.audio.low_band_filter import LowBandFilterConfig
from josiecodec.audio.resume import ResumedStream
from josiecodec.bitstream.container import Block
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.audio import decode_file, encode_file
from josiecodec.coding.audio_decoder import BlockDecoder
from josiecodec.coding.jodio import Jodio
from josiecodec.config import from_dict, to_dict
from josiecodec.entropy.code_tables import frame_bits
from josiecodec.errors import CodecError, CodesError, ConfigError, FormatError
from josiecodec.export import export_codec
from josiecodec.hub.store import load, save
from josiecodec.media.audio_reader import load_audio
from josiecodec.nn.transformer import TransformerConfig
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.entropy.trainer import make_tables

BASE, ALL = 6, 9


@pytest.fixture(scope="module")
def model() -> Jodio:
    made = tiny_model(waveform=tiny_waveform())
    torch.nn.init.normal_(made.waveform_layer.covariance.parts.weight, std=0.02)
    return made


@pytest.fixture(scope="module")
def plain() -> Jodio:
    return tiny_model()


def test_levels_of_both_parts(model, plain):
    assert (model.n_q, model.base_levels) == (ALL, BASE)
    assert model.streams == {"semantic": slice(0, 1), "acoustic": slice(1, 6), "waveform": slice(6, 9)}
    assert model.bitrate(ALL) == pytest.approx(9 * 6 * 12.5)
    assert model.n_q_for(8 * 6 * 12.5) == 8
    assert (plain.n_q, plain.base_levels, plain.waveform_layer) == (BASE, BASE, None)
    assert set(plain.streams) == {"semantic", "acoustic"}
    with pytest.raises(CodesError):
        model.encode(speechlike(2), ALL + 1)


@pytest.mark.parametrize("n_q", [1, 4, BASE])
def test_base_is_that_of_a_model_without_the_layer(model, plain, n_q):
    model = Jodio(model.config).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    x = speechlike(9.3)
    codes = model.encode(x, n_q)
    assert torch.equal(codes, plain.encode(x, n_q))
    assert torch.equal(model.decode(codes), plain.decode(codes))
    stream = model.streaming(n_q=n_q)
    assert stream.decode(codes).shape[-1] == codes.shape[-1] * 1920
    assert stream.finish().shape == (1, 1, 0)


def test_first_levels_are_the_base_codes(model):
    x = speechlike(8)
    codes = model.encode(x, ALL)
    assert codes.shape == (1, ALL, 8)
    assert torch.equal(codes[:, :BASE], model.encode(x, BASE))
    assert torch.equal(codes[:, :BASE], model.encode(x, 7)[:, :BASE])
    assert len(codes[:, BASE:].unique()) > 8


@pytest.mark.parametrize("samples", [0, 1, 1919, 1920, 1921, 5000, 9600])
@pytest.mark.parametrize("n_q", [7, ALL])
def test_length_law(model, samples, n_q):
    x = speechlike(6)[..., :samples]
    codes = model.encode(x, n_q)
    assert codes.shape == (1, n_q, -(-samples // 1920))
    assert model.decode(codes, samples).shape == (1, 1, samples)
    assert model.decode(codes).shape == (1, 1, codes.shape[-1] * 1920)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_q", [7, ALL])
def test_streams_are_exact(model, seed, n_q, monkeypatch):
    monkeypatch.setattr("josiecodec.audio.network.CHUNK_FRAMES", 7)
    random = np.random.default_rng(seed)
    x = speechlike(16.4, 2, seed=seed)
    codes = model.encode(x, n_q)
    whole = model.decode(codes)
    stream = model.streaming(2, n_q)
    found, at = [], 0
    while at < x.shape[-1]:
        size = int(random.integers(0, 6000))
        found.append(stream.encode(x[..., at : at + size]))
        at += size
    found.append(stream.flush())
    assert torch.equal(torch.cat(found, -1), codes)
    pieces, at = [], 0
    while at < codes.shape[-1]:
        size = int(random.integers(0, 4))
        pieces.append(stream.decode(codes[..., at : at + size]))
        at += size
        assert sum(p.shape[-1] for p in pieces) == 1920 * max(0, min(at, codes.shape[-1]) - 1)
    pieces.append(stream.finish())
    assert torch.equal(torch.cat(pieces, -1), whole)
    again = torch.cat([stream.decode(codes), stream.finish()], -1)
    assert torch.equal(again, whole), "what comes after the end is a new stream"


def test_batches_are_exact(model):
    x = speechlike(8, 3, seed=4)
    lengths = torch.tensor([15360, 5000, 0])
    codes = model.encode(x, ALL, lengths=lengths)
    assert not codes[1, :, 3:].any()
    assert not codes[2].any()
    assert torch.equal(codes[:1], model.encode(x[:1], ALL))
    assert torch.equal(codes[1, :, :3], model.encode(x[1:2, :, :5000], ALL)[0])
    whole = model.decode(codes)
    for i in range(3):
        assert torch.equal(model.decode(codes[i : i + 1]), whole[i : i + 1])


def test_a_filter_makes_streams_two_frames_late():
    small = LowBandFilterConfig(width=32, blocks=1, expansion=1)
    model = tiny_model(waveform=dataclasses.replace(tiny_waveform(), filter=small))
    torch.nn.init.normal_(model.waveform_layer.filter.output_proj.weight, std=0.02)
    x = speechlike(9, 2)
    codes = model.encode(x, ALL)
    whole = model.decode(codes)
    assert whole.shape == x.shape
    stream = model.streaming(2, ALL)
    parts = [stream.decode(codes[..., first : first + 2]) for first in range(0, 9, 2)]
    assert [p.shape[-1] // 1920 for p in parts] == [0, 2, 2, 2, 1]
    parts.append(stream.finish())
    assert parts[-1].shape[-1] == 2 * 1920
    assert torch.equal(torch.cat(parts, -1), whole)
    short = codes[..., :1]
    assert torch.equal(torch.cat([stream.decode(short), stream.finish()], -1), model.decode(short))


def test_a_late_stream_stays_late(model):
    codes = model.encode(speechlike(6), ALL)
    stream = model.streaming(n_q=ALL)
    parts = [stream.decode(codes[..., :3]), stream.decode(codes[:, :4, 3:5]), stream.decode(codes[..., 5:])]
    assert [p.shape[-1] // 1920 for p in parts] == [2, 2, 1]
    assert stream.finish().shape[-1] == 1920
    stream.decode(codes[:, :4])
    with pytest.raises(CodesError, match="began without"):
        stream.decode(codes)
    stream.reset()
    stream.decode(codes)


def test_levels_without_codes_leave_the_base(model):
    codes = model.encode(speechlike(6), ALL)
    stream = model.streaming(n_q=ALL)
    late = torch.cat([stream.decode(codes[..., :1]), stream.decode(codes[:, :BASE, 1:]), stream.finish()], -1)
    assert torch.equal(late[..., 3 * 1920 :], model.decode(codes[:, :BASE])[..., 3 * 1920 :])


def test_beams_are_those_of_the_call(model):
    x = speechlike(10)
    one, many = (model.encode(x, ALL, dataclasses.replace(model.settings, beams=b)) for b in (1, 8))
    assert not torch.equal(one[:, BASE:], many[:, BASE:])
    assert model.decode(one).shape == model.decode(many).shape


# Files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_q", [BASE, 7, ALL])
def test_files_hold_what_codes_say(model, tmp_path, n_q, monkeypatch):
    monkeypatch.setattr("josiecodec.audio.network.CHUNK_FRAMES", 20)
    x = speechlike(110.3)[0]
    soundfile.write(tmp_path / "a.wav", x[0].numpy(), RATE, subtype="FLOAT")
    wave = load_audio(tmp_path / "a.wav", RATE).samples
    encode_file(model, tmp_path / "a.wav", tmp_path / "a.josie", n_q)
    codes = model.encode(wave, n_q)
    assert np.array_equal(TokenFile.read(tmp_path / "a.josie").streams[0].codes, codes[0].numpy())
    for levels in (None, BASE, 7, 2):
        decode_file(model, tmp_path / "a.josie", tmp_path / "b.wav", levels)
        back = load_audio(tmp_path / "b.wav", RATE).samples[0]
        expected = model.decode(codes[:, :levels], wave.shape[-1])[0, 0]
        assert back.shape == expected.shape
        assert float((back - expected.clamp(-1, 1)).abs().max()) < 1e-4
    data = model.compress(wave, n_q)
    assert torch.equal(model.decompress(data).flatten(), model.decode(codes, wave.shape[-1]).flatten())


def test_gaps_are_silent_and_do_not_move_anything(model):
    codes = model.encode(speechlike(30), ALL)
    info = model.stream_info(ALL, 30 * 1920 - 100)

    def block(first, last):
        return Block(0, first, last - first, codes[0, :, first:last].t().numpy().astype(np.uint16))

    whole = BlockDecoder(model, info)
    pieces = [*whole.push(block(0, 10)), *whole.push(block(10, 30)), *whole.finish()]
    assert torch.equal(torch.cat(pieces), model.decode(codes, info.length)[0, 0])
    broken = BlockDecoder(model, info, salvage=True)
    pieces = [*broken.push(block(0, 10)), *broken.push(block(17, 30)), *broken.finish()]
    found = torch.cat(pieces)
    assert len(found) == info.length
    assert torch.equal(found[: 10 * 1920], model.decode(codes[..., :10])[0, 0])
    assert not found[10 * 1920 : 17 * 1920].any()
    resumed = ResumedStream(model, 17)
    assert torch.equal(
        found[17 * 1920 :], torch.cat([resumed.decode(codes[..., 17:]), resumed.finish()], -1)[0, 0, :-100]
    )
    assert "levels of the waveform cannot be used" in broken.problems[0]
    assert not whole.problems
    with pytest.raises(FormatError, match="missing"):
        list(BlockDecoder(model, info).push(block(3, 5)))


def test_tables_leave_the_layer_as_it_is(model, tmp_path):
    save(model, tmp_path / "m", torch.float32)
    for n in range(2):
        soundfile.write(tmp_path / f"{n}.wav", speechlike(120, seed=n)[0, 0].numpy(), RATE)
    make_tables(tmp_path / "m", load_recordings(tmp_path), minutes=0.02)
    coded = load(tmp_path / "m")
    assert coded.tables is not None
    x = speechlike(60, seed=5)
    codes = coded.encode(x, ALL)
    bits = frame_bits(codes[0].t().numpy(), coded.tables)
    assert np.allclose(bits[BASE:], 60 * 6, rtol=1e-3)
    assert torch.equal(coded.decompress(coded.compress(x, ALL)).flatten(), coded.decode(codes).flatten())
    layer = TokenFile.from_bytes(coded.compress(x, ALL), tables=coded.known_tables).streams[0].codes[BASE:]
    assert np.array_equal(layer, codes[0, BASE:].numpy())
    trimmed = TokenFile.from_bytes(coded.compress(x, ALL), tables=coded.known_tables).trimmed(7)
    data = trimmed.to_bytes(coded.known_tables)
    assert torch.equal(coded.decompress(data).flatten(), coded.decode(codes[:, :7]).flatten())


def test_the_layer_is_not_exported(model, tmp_path):
    pytest.importorskip("onnxscript")
    with pytest.raises(CodecError, match="waveform layer"):
        export_codec(model, tmp_path, "torchscript", ALL)
    assert export_codec(model, tmp_path, "torchscript")["n_q"] == 4


# Models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codebooks", ["random", "learned"])
def test_models_are_saved(tmp_path, codebooks):
    model = tiny_model(waveform=dataclasses.replace(tiny_waveform(), codebooks=codebooks, books=3))
    stored = any("waveform_layer.quantizer" in name for name in model.state_dict())
    assert stored == (codebooks == "learned")
    if stored:
        model.waveform_layer.quantizer.set_codebooks(torch.randn(3, 64, 32))
    save(model, tmp_path / "m", torch.float32)
    again = load(tmp_path / "m")
    x = speechlike(5)
    codes = model.encode(x, ALL)
    assert torch.equal(again.encode(x, ALL), codes)
    assert torch.equal(again.decode(codes), model.decode(codes))


def test_configs_of_models(plain):
    config = tiny_config(waveform=tiny_waveform())
    assert from_dict(type(config), to_dict(config)) == config
    assert from_dict(type(config), to_dict(plain.config)).waveform is None
    with pytest.raises(ConfigError, match="frame"):
        dataclasses.replace(config, waveform=dataclasses.replace(tiny_waveform(), hops=7))
    with pytest.raises(ConfigError, match="causal"):
        dataclasses.replace(config, encoder_transformer=TransformerConfig(dim=32, causal=False))


def test_training_the_base_leaves_the_layer_alone(model):
    model = tiny_model(waveform=tiny_waveform()).train()
    out = model(speechlike(4), torch.tensor([BASE]))
    out.audio.square().mean().backward()
    assert out.codes.shape[1] == BASE
    assert all(p.grad is None for p in model.waveform_layer.parameters())
