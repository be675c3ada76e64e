"""Actors of the engine for Ray, without Ray: reading ahead is bounded, and what was read is what would be read here."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import soundfile
from kit.audio import RATE, speechlike, tiny_model
from kit.vision import scene

from josiecodec.media.images import save_image
from josiecodec.tokenization import ray_actors
from josiecodec.tokenization.audio import encode_audio, encode_loaded_audio
from josiecodec.tokenization.manifest import Item, find_items
from josiecodec.tokenization.plan import Settings


class FakeReader:
    """Counts what was asked for and not taken."""

    open, most, calls = 0, 0, 0

    def __init__(self):
        self.read = SimpleNamespace(remote=self._remote)

    def _remote(self, items):
        FakeReader.open += 1
        FakeReader.calls += 1
        FakeReader.most = max(FakeReader.most, FakeReader.open)
        return [(item, None) for item in items]


def taken(found):
    FakeReader.open -= 1
    return found


def test_no_more_waits_than_is_allowed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=taken))
    items = [Item(str(n), "x", "x") for n in range(41)]
    readers = [FakeReader(), FakeReader()]
    found = ray_actors.media_of(items, readers)
    for _ in range(4):
        next(found)
    assert FakeReader.calls == ray_actors.AHEAD + 1  # an encoder that is slow keeps readers waiting
    assert [item.id for item, _ in found] == [str(n) for n in range(4, 41)]
    assert FakeReader.most == ray_actors.AHEAD + 1
    assert FakeReader.open == 0


def test_what_a_reader_gives_is_encoded_as_if_read_here(tmp_path):
    for n in range(3):
        soundfile.write(tmp_path / f"{n}.wav", speechlike(8 + 5 * n, seed=n)[0, 0].numpy(), RATE)
    (tmp_path / "3.wav").write_bytes(b"RIFF")
    codec, settings = tiny_model(), Settings(4, batch_seconds=1.2)
    _, items = find_items(tmp_path)
    read = ray_actors.Reader(RATE, settings.batch_seconds).read(items)
    assert [type(media) for _, media in read] == [np.ndarray, np.ndarray, type(None), str]  # the third is long
    for _, media in read[:2]:
        media.flags.writeable = False  # as the object store gives it
    clips = [ray_actors._clip(item, media) for item, media in read]
    here = list(encode_audio(codec, items, settings))
    there = list(encode_loaded_audio(codec, clips, settings))
    for (one, codes), (two, other) in zip(here[:3], there[:3]):
        assert one == two
        assert np.array_equal(codes[0], other[0])
        assert codes[1] == other[1]
    assert str(there[3][1]) == str(here[3][1])


def test_pictures_are_read_too(tmp_path):
    path = tmp_path / "a.png"
    save_image(scene(24, 32)[0, :, 0], path)
    (_, media), (_, error) = ray_actors.Reader(None, 1.0).read(
        [Item("a", path.name, str(path)), Item("b", "none.png", str(tmp_path / "none.png"))]
    )
    assert media.shape == (3, 24, 32)
    assert "no such file" in error
