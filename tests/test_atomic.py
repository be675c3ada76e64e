"""Files appear whole or not at all, whoever writes them."""

from __future__ import annotations

import errno
import os
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from josiecodec.atomic import PendingFile, remove_leftovers, replacing, write_bytes
from josiecodec.bitstream.container import TokenWriter
from josiecodec.bitstream.header import AudioInfo
from josiecodec.errors import CodecError, MediaError
from josiecodec.media.audio_writer import AudioWriter
from josiecodec.media.images import save_image
from josiecodec.media.video_writer import VideoWriter

INFO = AudioInfo("tiny", "ab" * 8, 2, 64, 5 * 1920, 24000, 1920, 24000, 1)


def audio(path):
    with AudioWriter(path / "a.wav", 24000) as writer:
        writer.write(torch.zeros(1000))
        yield
        writer.write(torch.zeros(1000))


def container_audio(path):
    with AudioWriter(path / "a.m4a", 24000) as writer:
        writer.write(torch.zeros(5000))
        yield
        writer.write(torch.zeros(5000))


def video(path):
    with VideoWriter(path / "a.mkv", (32, 32), Fraction(10)) as writer:
        writer.write(torch.zeros(3, 32, 32))
        yield
        writer.write(torch.zeros(3, 32, 32))


def tokens(path):
    with TokenWriter(path / "a.josie", [INFO]) as writer:
        writer.add(0, np.zeros((2, 2), np.uint16))
        yield
        writer.add(0, np.zeros((3, 2), np.uint16))


def bytes_in_pieces(path):
    with replacing(path / "a.bin") as file:
        file.write(b"first")
        yield
        file.write(b"last")


WRITERS = [audio, container_audio, video, tokens, bytes_in_pieces]


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_has_its_name_only_when_it_is_complete(tmp_path, write):
    steps = write(tmp_path)
    next(steps)
    (temporary,) = tmp_path.iterdir()
    assert temporary.name.startswith(".a.")
    assert temporary.suffix == ".tmp"
    assert next(steps, None) is None
    (done,) = tmp_path.iterdir()
    assert done.stem == "a"
    assert done.stat().st_size > 0


@pytest.mark.parametrize("write", WRITERS)
def test_an_error_leaves_nothing_behind(tmp_path, write):
    steps = write(tmp_path)
    next(steps)
    with pytest.raises(RuntimeError):
        steps.throw(RuntimeError("stop"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_name_that_cannot_be_taken_is_a_typed_error(tmp_path, write, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    steps = write(tmp_path)
    next(steps)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CodecError, match="No space left"):
        next(steps)
    assert list(tmp_path.iterdir()) == []


def test_images_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    x = torch.rand(3, 8, 8)
    for suffix in (".png", ".jpg", ".tif", ".ppm", ".webp", ".bmp"):
        save_image(x, tmp_path / f"a{suffix}")
    old = (tmp_path / "a.png").read_bytes()
    monkeypatch.setitem(Image.SAVE, "PNG", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_image(x, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 6
    with pytest.raises(MediaError, match="cannot be written"):
        save_image(x, tmp_path / "nowhere" / "a.jpg")


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        one.write(b"one")
        other.write(b"other")
    assert (tmp_path / "a").read_bytes() == b"one"  # which ended last


def test_names_may_be_long(tmp_path):
    write_bytes(tmp_path / ("x" * 240), b"1", durable=True)
    assert [len(path.name) for path in tmp_path.iterdir()] == [240]


def test_what_killed_writers_left_is_removed(tmp_path):
    pending = PendingFile(tmp_path / "00001.safetensors")
    pending.temporary.write_bytes(b"half")
    remove_leftovers(tmp_path, "00000")
    assert pending.temporary.exists()
    remove_leftovers(tmp_path, "00001")
    assert list(tmp_path.iterdir()) == []
