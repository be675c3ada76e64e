"""Manifests of Lhotse and NeMo as the input of `tokenize`."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import soundfile

from josiecodec.errors import CodecError
from josiecodec.tokenization.manifest import find_items


def cut(**changes):
    """A cut as Lhotse writes it."""
    source = {"type": "file", "channels": [0, 1], "source": "talk.wav"}
    recording = {"id": "talk", "sources": [source], "sampling_rate": 16000, "num_samples": 64000, "duration": 4.0}
    segment = {"id": "s", "recording_id": "talk", "start": 0.0, "duration": 1.5, "text": "Hello", "language": "en"}
    codes = {"array": {"shape": [3, 4]}, "temporal_dim": 0}
    line = {"id": "talk-1", "start": 0.5, "duration": 1.5, "channel": 1, "supervisions": [segment], "type": "MonoCut"}
    return line | {"recording": recording, "custom": {"mood": "glad", "codes": codes}} | changes


def test_cuts_of_lhotse_are_parts_of_files(tmp_path):
    path = tmp_path / "cuts.jsonl.gz"
    whole = cut(id="whole", start=0, duration=4.0, channel=0, supervisions=[], custom=None)
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, [cut(), whole])).encode()))
    kind, (part, all_of_it) = find_items(path)
    assert kind == "audio"
    assert (part.id, part.start, part.duration, part.channel) == ("talk-1", 0.5, 1.5, 1)
    assert part.path == str(tmp_path / "talk.wav")
    assert part.known == {"text": "Hello", "language": "en", "extra": {"mood": "glad"}}
    assert (all_of_it.id, all_of_it.start, all_of_it.duration, all_of_it.channel) == ("whole", 0.0, None, 0)


def test_what_lhotse_writes_is_read(tmp_path):
    lhotse = pytest.importorskip("lhotse")
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    recording = lhotse.Recording.from_file(tmp_path / "a.wav")
    cuts = lhotse.CutSet.from_manifests(recordings=lhotse.RecordingSet.from_recordings([recording])).to_eager()
    cuts.cut_into_windows(0.4).to_file(tmp_path / "cuts.jsonl.gz")
    _, items = find_items(tmp_path / "cuts.jsonl.gz")
    assert [(i.start, round(i.duration, 6), i.path) for i in items] == [
        (s, d, str(tmp_path / "a.wav")) for s, d in ((0.0, 0.4), (0.4, 0.4), (0.8, 0.2))
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (cut(type="MixedCut"), "MixedCut of Lhotse is no part of one file"),
        (cut(recording=None), "no single file"),
        (cut(recording={"sources": [{"type": "url", "source": "x"}]}), "no single file"),
        (cut(recording=cut()["recording"] | {"transforms": [{"name": "Speed"}]}), "changes its recording"),
        (cut(recording={"sources": [3]}), "damaged MonoCut"),
        (cut(recording={"sources": [{"type": "file", "source": "x", "channels": 3}]}), "damaged MonoCut"),
        (cut(supervisions=[4]), "damaged MonoCut"),
        (cut(supervisions={"a": 1}), "damaged MonoCut"),
        (cut(custom=[1]), "damaged MonoCut"),
    ],
)
def test_cuts_that_are_no_part_of_a_file_are_named(line, text, tmp_path):
    (tmp_path / "cuts.jsonl").write_text(json.dumps(line))
    with pytest.raises(CodecError, match=f"line 1: .*{text}"):
        find_items(tmp_path / "cuts.jsonl")


def test_manifests_of_nemo(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    lines = [
        {"audio_filepath": "~/a.wav", "duration": 2.0, "normalized_text": "two", "lang": "en"},
        {"audio_filename": "wavs/b.wav", "duration": 1.0, "offset": 0.5, "text": "b"},
    ]
    (tmp_path / "manifest.json").write_text("\n".join(map(json.dumps, lines)))
    _, items = find_items(tmp_path / "manifest.json")
    by_path = {i.path: i for i in items}
    first, second = by_path[str(tmp_path / "home" / "a.wav")], by_path[str(tmp_path / "wavs" / "b.wav")]
    assert (first.known["text"], first.known["language"], first.duration) == ("two", "en", None)
    assert (second.start, second.duration, second.known["text"]) == (0.5, 1.0, "b")


def test_a_damaged_gzip_is_named(tmp_path):
    for data in (b"\x1f\x8b\x08\x00", gzip.compress(b"{}" * 99)[:-12], b"{}"):
        (tmp_path / "cuts.jsonl.gz").write_bytes(data)
        with pytest.raises(CodecError, match=r"cuts\.jsonl\.gz: cannot be read"):
            find_items(tmp_path / "cuts.jsonl.gz")
