"""Datasets of tokens as others load them: Parquet with a card for the hub, JSON lines."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from huggingface_hub import constants
from kit.datasets import AUDIO_INFO, VISION_INFO, made_codes
from kit.fake_hub import FakeHub
from kit.processes import run

from josiecodec.datasets.clips import Clip
from josiecodec.datasets.dataset import ShardWriter, TokenDataset
from josiecodec.datasets.export import export
from josiecodec.errors import CodecError, FormatError
from josiecodec_cli.main import cli


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    writer = ShardWriter(tmp_path_factory.mktemp("tokens") / "d", AUDIO_INFO)
    codes = made_codes(7)
    for shard, part in enumerate((range(4), range(4, 7))):
        lines = [
            {"id": f"c{i}", "source": "x.wav", "start": 1.5, "duration": 0.08 * len(codes[i]), "note": "é"}
            for i in part
        ]
        lines[0] |= {"text": "Hello there", "speaker": "s1", "language": "en", "licence": "CC0"}
        writer.write(shard, [(codes[i], line) for i, line in zip(part, lines)])
    return TokenDataset(writer.folder)


def same(row, clip):
    assert np.array_equal(np.array(row["codes"], np.int64), clip.codes.T)
    assert (row["n_frames"], row["n_q"]) == clip.codes.shape
    assert list(row["frame_rate"]) == [25, 2]
    assert row["fingerprint"] == AUDIO_INFO.fingerprint
    assert json.loads(row["meta"]) == {"note": "é"}
    assert row["text"] == clip.meta.get("text")


def test_parquet_for_the_hub_is_read_row_by_row(dataset, tmp_path):
    assert export(TokenDataset(dataset.folder, 2), tmp_path / "out", "hub") == 7
    paths = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in paths] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    rows = [row for path in paths for batch in pq.ParquetFile(path).iter_batches(1) for row in batch.to_pylist()]
    assert [row["id"] for row in rows] == [f"c{i}" for i in range(7)]
    for i, row in enumerate(rows):
        same(row, TokenDataset(dataset.folder, 2)[i])
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\n")
    assert "path: data/train-*.parquet" in card
    assert "a list of 2 levels, the first 1 of them semantic" in card
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["README.md", "data"]


def test_the_hub_s_own_library_reads_it(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    export(dataset, tmp_path / "out", "hub")
    found = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.num_rows == 7
    for i in (0, 5, 6, 1):  # in any order, one by one
        same(found[i], dataset[i])
    streamed = datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)
    assert [row["id"] for row in streamed] == [f"c{i}" for i in range(7)]


def test_json_lines_have_codes_frame_by_frame(dataset, tmp_path):
    export(dataset, tmp_path / "out", "jsonl")
    lines = [json.loads(x) for path in sorted((tmp_path / "out").glob("*.jsonl")) for x in path.open(encoding="utf-8")]
    for i, line in enumerate(lines):
        assert np.array_equal(np.array(line["audio_codes"]), dataset[i].codes)
        assert (line["audio_filepath"], line["offset"], line["duration"]) == ("x.wav", 1.5, dataset[i].meta["duration"])
        assert (line["audio"], line["text"]) == ("x.wav", "Hello there" if i in (0, 4) else "")
    assert len(lines) == 7
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["frame_rate"] == [25, 2]


def test_what_cannot_be_exported_leaves_nothing(dataset, tmp_path):
    writer = ShardWriter(tmp_path / "v", VISION_INFO)
    writer.write(0, [])
    for kind in ("hub", "jsonl"):
        with pytest.raises(CodecError, match="sound alone"):
            export(TokenDataset(tmp_path / "v"), tmp_path / "out", kind)
    assert not (tmp_path / "out").exists()


def test_texts_that_are_none_are_named(dataset, tmp_path):
    writer = ShardWriter(tmp_path / "d", AUDIO_INFO)
    writer.write(0, [(made_codes(1)[0], {"id": "a", "source": "x", "start": 0.0, "duration": 1.0, "text": {"a": 1}})])
    with pytest.raises(FormatError, match="does not fit the columns"):
        export(TokenDataset(tmp_path / "d"), tmp_path / "out", "hub")


def test_a_dataset_is_pushed(dataset, monkeypatch):
    with FakeHub() as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", "nothing")
        done = CliRunner().invoke(cli, ["tokens", "push", str(dataset.folder), "me/talk", "--private"])
        assert done.exit_code == 0, done.output
        assert "7 clips" in done.output
        assert server.made["me/talk"]["type"] == "dataset"
        files = server.files["me/talk"]
        assert sorted(files) == ["README.md", "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]
        rows = pq.read_table(io.BytesIO(files["data/train-00000-of-00002.parquet"])).to_pylist()
        same(rows[0], dataset[0])
        server.refuses = True
        assert CliRunner().invoke(cli, ["tokens", "push", str(dataset.folder), "me/talk"]).exit_code != 0
        server.shutdown()


def test_the_command_line(dataset, tmp_path):
    assert "7 clips" in run("tokens", "export", dataset.folder, tmp_path / "out", "--to", "hub")
    assert (tmp_path / "out" / "README.md").is_file()
    assert isinstance(dataset[0], Clip)
