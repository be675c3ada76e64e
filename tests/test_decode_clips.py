"""Clips of datasets back to media: the samples and pixels of the codec itself, without a `.josie` file on the way."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.audio import RATE, tiny_model
from kit.vision import CONV, model

from josiecodec.bitstream.container import TokenReader, TokenWriter
from josiecodec.datasets.dataset import Clip
from josiecodec.errors import CodesError, MediaError
from josiecodec.media.audio_reader import load_audio
from josiecodec.media.images import load_image
from josiecodec.media.video_reader import load_video
from josiecodec.tokenization.decode import clip_to_josie, decode_audio, decode_clip, decode_pictures
from josiecodec.tokenization.tokenize import dataset_info


@pytest.fixture(scope="module")
def audio_codec():
    return tiny_model()


@pytest.fixture(scope="module")
def vision_codec():
    return model(CONV)


@pytest.fixture
def no_josie_files(monkeypatch):
    """Fail wherever a `.josie` file is written or read."""

    def fail(*_, **__):
        raise AssertionError("a .josie file on the way")

    monkeypatch.setattr(TokenWriter, "__init__", fail)
    monkeypatch.setattr(TokenReader, "__init__", fail)


def audio_clip(frames: int, **meta: object) -> Clip:
    codes = np.random.default_rng(frames).integers(0, 64, (frames, 4)).astype(np.uint16)
    return Clip(codes, {"id": "a", **meta})


def vision_clip(pictures: int, rate: Fraction, size: tuple[int, int] = (40, 50)) -> Clip:
    """Random codes of patches of 16 x 16; the first picture alone, then pairs."""
    random = np.random.default_rng(pictures)
    patches = -(-size[0] // 16) * -(-size[1] // 16) * (1 + pictures // 2)
    levels = random.integers(0, 5, patches).astype(np.uint8)
    codes = random.integers(0, 64, (patches, 4)).astype(np.uint16)
    codes[np.arange(4) >= levels[:, None]] = 0
    meta = {"id": "v", "size": list(size), "pictures": pictures, "rate": [rate.numerator, rate.denominator]}
    return Clip(codes, meta, levels)


@pytest.mark.parametrize(("frames", "duration"), [(1, None), (700, 55.93), (251, 3.0)])
def test_audio_is_what_the_codec_decodes(audio_codec, frames, duration, no_josie_files):
    clip = audio_clip(frames, duration=duration)
    samples = round(duration * RATE) if duration and frames == 700 else frames * audio_codec.frame_size
    expected = audio_codec.decode(torch.from_numpy(clip.signed).T[None], samples)[0, 0]
    assert torch.equal(torch.cat(list(decode_audio(audio_codec, clip))), expected)


@pytest.mark.parametrize(("pictures", "rate"), [(1, Fraction(0)), (7, Fraction(25)), (8, Fraction(10))])
def test_pictures_are_what_the_codec_decodes(vision_codec, pictures, rate, no_josie_files):
    clip = vision_clip(pictures, rate)
    codes = torch.from_numpy(clip.signed).T.reshape(1, 4, -1, 3, 4)
    expected = vision_codec.decode(codes, (40, 50), pictures)[0].clamp(0, 1)
    assert torch.equal(torch.stack(list(decode_pictures(vision_codec, clip)), 1), expected)


def test_josie_files_of_clips_decode_to_the_same(audio_codec, vision_codec):
    clip = audio_clip(150)
    decoded = audio_codec.decompress(clip_to_josie(audio_codec, clip)).flatten()
    assert torch.equal(torch.cat(list(decode_audio(audio_codec, clip))), decoded)
    clip = vision_clip(5, Fraction(25))
    decoded = vision_codec.decompress(clip_to_josie(vision_codec, clip))
    assert torch.equal(torch.stack(list(decode_pictures(vision_codec, clip)), 1), decoded)


def test_media_files_are_written(audio_codec, vision_codec, tmp_path, no_josie_files):
    clip = audio_clip(30)
    result = decode_clip(audio_codec, dataset_info(audio_codec, 4), clip, tmp_path / "a.wav")
    assert (result.seconds, result.size) == (2.4, (tmp_path / "a.wav").stat().st_size)
    expected = torch.cat(list(decode_audio(audio_codec, clip))).clamp(-1, 1)
    assert (load_audio(tmp_path / "a.wav").samples[0] - expected).abs().max() < 2 / 32768
    info, clip = dataset_info(vision_codec, 4), vision_clip(6, Fraction(10))
    assert decode_clip(vision_codec, info, clip, tmp_path / "v.mkv").seconds == 0.6
    pictures = torch.stack(list(decode_pictures(vision_codec, clip)), 1)
    video, rate = load_video(tmp_path / "v.mkv")
    assert rate == 10
    assert (video - pictures).abs().max() < 0.6 / 255
    decode_clip(vision_codec, info, clip, tmp_path / "v.png")
    assert (load_image(tmp_path / "v.png") - pictures[:, 0]).abs().max() < 0.6 / 255


def test_codes_that_are_none_of_the_model_are_refused(audio_codec, vision_codec, tmp_path):
    clip = audio_clip(3)
    with pytest.raises(CodesError):
        list(decode_audio(audio_codec, Clip(clip.codes + np.uint16(64), clip.meta)))
    clip = vision_clip(3, Fraction(25))
    for wrong in (
        Clip(clip.codes + np.uint16(64), clip.meta, clip.levels),
        Clip(clip.codes, clip.meta, clip.levels + np.uint8(5)),
        Clip(clip.codes, {**clip.meta, "pictures": 9}, clip.levels),
        Clip(clip.codes, clip.meta),
    ):
        with pytest.raises(CodesError):
            list(decode_pictures(vision_codec, wrong))
    empty = Clip(clip.codes[:0], {**clip.meta, "pictures": 0}, clip.levels[:0])
    for name in ("x.png", "x.mkv"):
        with pytest.raises(MediaError, match="picture"):
            decode_clip(vision_codec, dataset_info(vision_codec, 4), empty, tmp_path / name)
    assert not list(tmp_path.iterdir())
