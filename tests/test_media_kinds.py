"""What a file is by its content, and which files of a folder are used."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import soundfile
from kit.films import chart, film
from PIL import Image

from josiecodec.errors import MediaError
from josiecodec.media.kinds import MEDIA_SUFFIXES, kind_of, skipped, split_media
from josiecodec.tokenization.manifest import find_items
from josiecodec_cli.targets import Rules, make_plan

MPEG2 = {"codec": "mpeg2video", "options": {"b": "2000000"}}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("x.mts", {"container": "mpegts"}),
        ("x.vob", {**MPEG2, "container": "vob", "sound": "ac3"}),
        ("x.3gp", {}),
        ("x.mxf", {**MPEG2, "sound": "pcm_s16le"}),
        ("x.h264", {"sound": None, "container": "h264"}),
        ("x.y4m", {"codec": "wrapped_avframe", "options": {}, "sound": None, "container": "yuv4mpegpipe"}),
        ("x.wmv", {"codec": "wmv2", "options": {}, "sound": None, "container": "asf"}),
        ("film", {"container": "matroska"}),
        ("x.jpg", {"container": "mp4"}),
        ("a:b%02d.mp4", {}),
    ],
)
def test_films_whatever_they_are_called(tmp_path, monkeypatch, name, changes):
    monkeypatch.chdir(tmp_path)
    film("made", seconds=0.4, **{"container": "mp4"} | changes)
    (tmp_path / "made").rename(tmp_path / name)
    assert kind_of(name) == "video"


def test_sound_and_pictures_whatever_they_are_called(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(800), 8000)
    (tmp_path / "x.wav").rename(tmp_path / "x.mp4")
    Image.fromarray(chart()).save(tmp_path / "x.dat", "PNG")
    assert kind_of(tmp_path / "x.mp4") == "audio"
    assert kind_of(tmp_path / "x.dat") == "image"


@pytest.mark.parametrize("name", ["x.txt", "x.nfo", "x.m3u8", "x.ffconcat", "x", "x.mp4", "x.srt"])
def test_texts_are_no_media(tmp_path, name):
    texts = {
        "x.m3u8": "#EXTM3U\n#EXTINF:1,\nhttp://localhost/x.ts\n",
        "x.ffconcat": "ffconcat version 1.0\nfile a.mp4\n",
    }
    (tmp_path / name).write_text(texts.get(name, "Words, and nothing but words.\n" * 40))
    with pytest.raises(MediaError, match="not a media file"):
        kind_of(tmp_path / name)


def mixed_folder(folder):
    folder.mkdir()
    film(folder / "a.mts", container="mpegts", seconds=0.4)
    film(folder / "b", container="mp4", seconds=0.4)
    Image.fromarray(chart()).save(folder / "c.jfif", "JPEG")
    (folder / "notes.txt").write_text("BM and RIFF are words")
    (folder / "more.txt").write_text("x")
    (folder / "list.xml").write_text("<x/>")
    (folder / ".hidden.mp4").write_bytes(b"")
    return folder


def test_files_of_a_folder(tmp_path):
    folder = mixed_folder(tmp_path / "m")
    used, left = split_media(sorted(folder.iterdir()), MEDIA_SUFFIXES)
    assert [p.name for p in used] == ["a.mts", "b", "c.jfif"]
    assert skipped(left) == "3 files skipped, not media: .txt (2), .xml (1)"
    assert skipped([]) is None
    with pytest.warns(UserWarning, match="4 files skipped, not audio or video"):
        _kind, items = find_items(folder, "audio")
    assert [item.id for item in items] == ["a.mts", "b"]


def test_folders_say_what_they_skip(tmp_path, capsys):
    folder = mixed_folder(tmp_path / "m")
    rules = Rules(lambda _: ".josie", lambda: MEDIA_SUFFIXES, lambda suffix: suffix == ".josie", "")
    jobs = make_plan((str(folder), str(tmp_path / "out")), None, rules).jobs
    assert [end.name for _, end in jobs] == ["a.josie", "b.josie", "c.josie"]
    assert "3 files skipped, not media: .txt (2), .xml (1)" in capsys.readouterr().err


def test_manifests_take_what_they_name(tmp_path):
    folder = mixed_folder(tmp_path / "m")
    (folder / "list.jsonl").write_text('{"path": "b"}\n{"path": "a.mts"}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [item.id for item in find_items(folder / "list.jsonl")[1]] == ["a.mts", "b"]
