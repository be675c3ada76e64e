"""A constant offset is taken off before a waveform is coded, however the stream is cut."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from kit.audio import speechlike

import josiecodec
from josiecodec.audio.offset import SMALL, OffsetMemory, offsets
from josiecodec.audio.stereo_image import find_image
from josiecodec.media.audio_frames import Sound
from josiecodec.media.audio_mix import MonoMix
from josiecodec.runtime.audio_codec import AudioCodec
from josiecodec.weight_files import WEIGHTS

FRAME = 1920


@pytest.fixture(scope="module")
def codec() -> josiecodec.Jodio:
    return josiecodec.load("jodio-24k-v4")


@pytest.fixture(scope="module")
def wave() -> torch.Tensor:
    return speechlike(31.25, seed=4)


def test_a_small_offset_stays():
    x = np.full((1, 3 * FRAME), 0.9 * SMALL, np.float32)
    found, memory = offsets(x, FRAME, OffsetMemory())
    assert found is None
    assert memory.frames == 3


def test_it_is_known_from_the_first_sample_on_and_followed():
    x = np.concatenate([np.full(FRAME, 0.1), np.full(60 * FRAME, -0.2)]).astype(np.float32)[None]
    found, _ = offsets(x, FRAME, OffsetMemory())
    assert found is not None
    assert np.allclose(found[0, :FRAME], 0.1)
    assert abs(found[0, -1] + 0.2) < 0.003
    assert np.abs(np.diff(found[0])).max() < 1e-4  # nothing to be heard


def test_values_that_are_no_numbers_are_forgotten():
    x = np.full((1, 4 * FRAME), 0.1, np.float32)
    x[0, 2 * FRAME + 5] = np.nan
    found, _ = offsets(x, FRAME, OffsetMemory())
    assert found is not None
    assert np.allclose(found, 0.1)


@pytest.mark.parametrize("n_q", [9, 40])
def test_chunks_and_batches_give_the_codes_of_the_whole(codec, wave, n_q):
    x = torch.cat([wave + 0.05, wave.flip(-1) - 0.02])
    whole = codec.encode(x, n_q)
    assert torch.equal(codec.encode(x[:1], n_q), whole[:1])
    assert torch.equal(codec.encode(x[1:], n_q), whole[1:])
    short = codec.encode(x, n_q, lengths=torch.tensor([x.shape[-1], 30000]))
    assert torch.equal(short[1:, :, :16], codec.encode(x[1:, :, :30000], n_q))
    stream = codec.streaming(batch_size=2, n_q=n_q)
    parts = [stream.encode(part) for part in x.split(3333, -1)]
    assert torch.equal(torch.cat([*parts, stream.flush()], -1), whole)


def test_it_costs_nothing(codec, wave):
    plain, moved = codec.encode(wave, 9), codec.encode(wave + 0.05, 9)
    assert float((plain == moved).float().mean()) > 0.6  # 0.28 with the offset
    coded = [codec.decompress(codec.compress(x, kbps=4.0)) for x in (wave, wave + 0.05)]
    noise = [float((y[0] - wave[0, 0]).square().mean()) for y in coded]
    assert noise[1] < 1.3 * noise[0]  # 2.04 with the offset


def test_without_torch_it_is_the_same(codec, wave):
    stream = AudioCodec(WEIGHTS / "jodio-24k-v4", 1).array_encoder(9)
    x = wave + 0.05
    parts = [stream.encode(x[0, 0, first : first + 10000].numpy()) for first in range(0, x.shape[-1], 10000)]
    assert np.array_equal(np.concatenate([*parts, stream.flush()]), codec.encode(x, 9)[0].t().numpy())


@pytest.mark.parametrize("length", [3000, 40000])
def test_an_offset_does_not_move_a_stereo_image(length):
    time = np.arange(length) / 24000
    voice = (0.05 * np.sin(2 * np.pi * 220 * time) + 0.02 * np.sin(2 * np.pi * 1500 * time)).astype(np.float32)

    def image(left, right):
        pair = np.stack([voice + np.float32(left), voice + np.float32(right)])
        return np.concatenate(list(find_image(np.split(pair, [1000, 2500], 1), 1920, 24000)))

    plain = image(0, 0)
    heard = [0, 3]  # bands with sound
    assert len(plain) == -(-length // 1920)
    assert np.array_equal(image(0.3, -0.2)[:, heard], plain[:, heard])


def test_opposite_offsets_are_no_opposite_phase():
    time = np.arange(12000) / 24000
    voice = (0.05 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    sound = Sound(np.stack([voice + np.float32(0.3), voice - np.float32(0.3)], 1), np.full(2, 0.5, np.float32))
    mix = MonoMix("talk.wav", 24000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixed = np.concatenate([*mix(sound), *mix.finish()])
    assert np.abs(mixed - voice).max() < 1e-6
