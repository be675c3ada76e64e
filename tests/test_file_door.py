"""From file to file in Python, and what is never replaced, made up or misnamed."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike
from kit.video import write_video
from kit.vision import scene
from PIL import Image

import josiecodec
from josiecodec import CodecError
from josiecodec.errors import MediaError, ModelError
from josiecodec.media.images import save_image


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    soundfile.write(path, speechlike(12)[0, 0].numpy(), RATE)
    return path


def test_audio_there_and_back(talk, tmp_path):
    done = josiecodec.encode_file(talk, tmp_path / "talk.josie", kbps=2.0)
    assert 8 * done.size / done.seconds <= 2000
    with pytest.raises(CodecError, match="already exists"):
        josiecodec.decode_file(tmp_path / "talk.josie")  # beside it: talk.wav
    josiecodec.decode_file(tmp_path / "talk.josie", tmp_path / "back.flac", sample_rate=16000)
    assert soundfile.info(tmp_path / "back.flac").samplerate == 16000
    codec = josiecodec.load()
    assert codec.encode_file(talk, tmp_path / "2.josie", kbps=2.0).size == done.size
    assert (tmp_path / "2.josie").read_bytes() == (tmp_path / "talk.josie").read_bytes()
    codec.decode_file(str(tmp_path / "2.josie"), str(tmp_path / "2.wav"), n_q=1)
    assert soundfile.info(tmp_path / "2.wav").frames == 12 * 1920


def test_images_and_videos_there_and_back(tmp_path):
    save_image(scene(40, 60)[0, :, 0], tmp_path / "photo.png")
    write_video(tmp_path / "clip.mp4", (48, 64), 20, audio=True)
    for name in ("photo.png", "clip.mp4"):
        josiecodec.encode_file(tmp_path / name)
    (tmp_path / "out").mkdir()
    josiecodec.decode_file(tmp_path / "photo.josie", tmp_path / "out")
    assert Image.open(tmp_path / "out" / "photo.png").size == (60, 40)
    josiecodec.decode_file(tmp_path / "clip.josie", tmp_path / "out")
    pictures, _ = josiecodec.load_video(tmp_path / "out" / "clip.mp4")
    assert pictures.shape[2:] == (48, 64)
    josiecodec.decode_file(tmp_path / "clip.josie", tmp_path / "out" / "clip.wav")  # its audio
    assert josiecodec.load_audio(tmp_path / "out" / "clip.wav").samples.shape[1]
    josiecodec.load().encode_file(tmp_path / "clip.mp4", tmp_path / "sound.josie")  # a model of audio
    assert [s.info.kind for s in josiecodec.TokenFile.read(tmp_path / "sound.josie").streams] == ["audio"]
    with pytest.raises(ModelError, match="needs a model of vision"):
        josiecodec.load().encode_file(tmp_path / "photo.png", tmp_path / "x.josie")
    with pytest.raises(MediaError, match="no audio"):
        josiecodec.decode_file(tmp_path / "photo.josie", tmp_path / "photo.wav")


def test_nothing_is_replaced_or_misnamed(talk, tmp_path):
    before = talk.read_bytes()
    soundfile.write(tmp_path / "b.flac", torch.zeros(100).numpy(), RATE)
    for target, overwrite, text in (
        (tmp_path / "b.flac", True, "encoded files are called b.josie"),
        (tmp_path / "out.mp3", False, "encoded files are called out.josie"),
        (tmp_path / "no" / "such" / "a.josie", False, "no folder"),
        (talk, True, "both input and output"),
    ):
        with pytest.raises(CodecError, match=text):
            josiecodec.encode_file(talk, target, overwrite=overwrite)
    (tmp_path / "talk.josie").write_bytes(b"mine")
    with pytest.raises(CodecError, match="overwrite=True"):
        josiecodec.encode_file(talk)
    assert (tmp_path / "talk.josie").read_bytes() == b"mine"
    josiecodec.encode_file(talk, overwrite=True)
    assert talk.read_bytes() == before
    assert not (tmp_path / "no").exists()
    for source in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(MediaError):
            josiecodec.encode_file(source)
        with pytest.raises(MediaError):
            josiecodec.decode_file(source)


def test_more_than_a_model_can_use_is_said(talk, tmp_path):
    with pytest.warns(UserWarning, match="all that the model can use, not 64"):
        josiecodec.encode_file(talk, kbps=64)


def test_two_models_of_a_kind_are_refused(talk):
    codec = josiecodec.load()
    with pytest.raises(ModelError, match="two models of audio"):
        josiecodec.encode_file(talk, codecs=(codec, codec))
