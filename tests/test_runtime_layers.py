"""Levels after the base without torch: encoding, rates, stereo, pieces and gaps are those of torch."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import speechlike

import josiecodec
from josiecodec import Rate
from josiecodec.bitstream.container import Block, TokenReader
from josiecodec.bitstream.josie_file import TokenFile, TokenStream
from josiecodec.bitstream.marks import Mark
from josiecodec.coding.audio import encode_file
from josiecodec.coding.audio_piece import AudioPiece, is_marked
from josiecodec.coding.audio_stereo import encode_stereo
from josiecodec.coding.sample_decoder import MARKED_FRAMES, SampleDecoder
from josiecodec.coding.stretch import Stretch
from josiecodec.quantization.shaped_rvq import ShapedResidualQuantizer
from josiecodec.runtime.audio_codec import AudioCodec
from josiecodec.runtime.shaped_codes import ShapedCodes
from josiecodec.runtime.shaped_search import search, search_paths
from josiecodec.weight_files import WEIGHTS

RATE, MODEL = 24000, "jodio-24k-v4"
LSB = 1 / 32768


@pytest.fixture(scope="module")
def ours() -> josiecodec.Jodio:
    return josiecodec.load(MODEL)


@pytest.fixture(scope="module")
def light() -> AudioCodec:
    return AudioCodec(WEIGHTS / MODEL, 1)


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return speechlike(40.4, seed=3)[0, 0].numpy()


def written(encode, codec, samples: np.ndarray, **how) -> bytes:
    source, out = io.BytesIO(), io.BytesIO()
    soundfile.write(source, samples.T, RATE, format="WAV", subtype="FLOAT")
    source.seek(0)
    encode(codec, source, out, **how)
    return out.getvalue()


def encoded(codec, wave: np.ndarray, n_q: int, step: int | None = None, settings=None) -> np.ndarray:
    stream = codec.array_encoder(n_q, settings)
    parts = [stream.encode(wave[i : i + (step or len(wave))]) for i in range(0, len(wave), step or len(wave))]
    return np.concatenate([*parts, stream.flush()])


def test_the_search_finds_what_torch_finds():
    plain = ShapedResidualQuantizer(24, 6, 256, seed=3)
    codes = ShapedCodes(24, 6, 256, 1, 3)
    random = torch.Generator().manual_seed(0)
    x, shapes = torch.randn(150, 24, generator=random), torch.rand(6, 150, 24, generator=random)
    weights = [torch.rand(150, 24, generator=random) for _ in range(6)]
    counts = torch.randint(0, 7, (150,), generator=random)
    arrays = x.numpy(), shapes.numpy()
    for beams in (1, 4):
        assert np.array_equal(plain.encode(x, shapes, beams).numpy(), search(codes, *arrays, beams))
        want = plain.paths(x, shapes, beams, weights, counts).numpy()
        found = search_paths(codes, *arrays, beams, [w.numpy() for w in weights], counts.numpy())
        assert np.array_equal(found, want)


@pytest.mark.parametrize("n_q", [18, 64])
def test_codes_are_those_of_torch(ours, light, wave, n_q):
    found, want = encoded(light, wave, n_q), encoded(ours, wave, n_q)
    assert np.array_equal(found[:, :9], want[:, :9])
    # Deep levels code what is left of the levels before: one close call changes the rest of a frame.
    assert (found == want).mean() > 0.9
    assert (found[:, :18] == want[:, :18]).mean() > 0.97


def test_thresholds_choose_the_same_levels(ours, light, wave):
    settings = replace(ours.settings, water_level=-3.0, envelope_threshold=-8.0)
    found, want = (encoded(codec, wave, 40, None, settings) for codec in (light, ours))
    assert ((found != 0) == (want != 0)).mean() > 0.99


def test_streams_encode_exactly_as_a_whole(light, wave):
    assert np.array_equal(encoded(light, wave[:40000], 30), encoded(light, wave[:40000], 30, 2777))


def test_files_keep_to_a_rate(ours, light, wave):
    files = [written(encode_file, codec, wave, rate=Rate(kbps=3)) for codec in (light, ours)]
    assert all(8 * len(file) <= 3000 * len(wave) / RATE for file in files)
    codes = [np.asarray(TokenFile.from_bytes(file).streams[0].codes) for file in files]
    assert (codes[0] == codes[1]).mean() > 0.97


def test_stereo_without_torch(ours, light, wave):
    stereo = np.stack([wave, 0.3 * wave])
    files = [written(encode_stereo, codec, stereo) for codec in (light, ours)]
    assert files[0] == files[1]


def marked(codec, frames: int) -> tuple[bytes, np.ndarray]:
    """A file of random codes with marks as an encoder makes them, and the codes."""
    codes = np.random.default_rng(0).integers(0, 2048, (frames, 18))
    stream, marks = codec.array_decoder(), {}
    for first in range(0, frames, MARKED_FRAMES):
        if first:
            marks[first] = Mark(9, stream.phase)
        stream.decode(codes[first : first + MARKED_FRAMES, :9])
    return codec_file(codec, codes, marks), codes


def codec_file(codec, codes: np.ndarray, marks: dict[int, Mark]) -> bytes:
    info = codec.stream_info(codes.shape[1], len(codes) * codec.frame_size)
    return TokenFile([TokenStream(info, codes.T.astype(np.uint16), marks)]).to_bytes(codec.known_tables)


def test_a_piece_behind_a_mark_is_exact(light):
    frames = MARKED_FRAMES + 60
    data, codes = marked(light, frames)
    assert is_marked(data)
    stream = light.array_decoder()
    whole = np.concatenate([stream.decode(codes), stream.finish()])
    start = (MARKED_FRAMES + 30) * light.frame_size / RATE
    with TokenReader(data, light.known_tables) as reader:
        piece = AudioPiece(light, reader, 0, Stretch(start, 1.0))
        found = np.concatenate(list(piece.samples()), 1)[0]
    want = whole[piece.first : piece.last]
    assert np.abs(found - want).max() < LSB


def test_marks_correct_what_has_drifted(light):
    """A decoder whose phase is another than the encoder's takes over that of the file."""
    codes = np.random.default_rng(1).integers(0, 2048, (80, 18))
    info, stream = light.stream_info(18, 80 * light.frame_size), light.array_decoder()
    stream.decode(codes[:40, :9])
    mark = Mark(9, stream.phase)
    decoder = SampleDecoder(light, info)
    blocks = [Block(0, 0, 40, codes[:40]), replace(Block(0, 40, 40, codes[40:]), mark=mark)]
    parts = list(decoder.push(blocks[0]))
    decoder._stream._source.turns += 1 << 28
    parts += [*decoder.push(blocks[1]), *decoder.finish()]
    plain = SampleDecoder(light, info)
    want = np.concatenate([*plain.push(blocks[0]), *plain.push(blocks[1]), *plain.finish()])
    assert np.array_equal(np.concatenate(parts), want)


@pytest.mark.parametrize("levels", [9, 18])
def test_marks_behind_a_gap_give_the_phase(ours, light, levels):
    codes = np.random.default_rng(2).integers(0, 2048, (120, levels))
    stream = light.array_decoder()
    stream.decode(codes[:90, :9])
    mark = Mark(9, stream.phase)
    info = light.stream_info(levels, 120 * light.frame_size)
    found = []
    for codec in (light, ours):
        decoder = SampleDecoder(codec, info, salvage=True)
        blocks = [Block(0, 0, 10, codes[:10]), Block(0, 30, 60, codes[30:90])]
        blocks.append(replace(Block(0, 90, 30, codes[90:]), mark=mark))
        found.append(np.concatenate([*(part for block in blocks for part in decoder.push(block)), *decoder.finish()]))
        assert decoder.problems == []
    assert len(found[0]) == len(found[1])
    assert np.abs(found[0] - found[1]).max() < 32 * LSB
