"""Cuts of Lhotse and manifests of NeMo: written, read by Lhotse itself and by NeMo's rules, and imported again."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from os.path import expanduser
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from kit.datasets import AUDIO_INFO, VISION_INFO, made_codes

from josiecodec.datasets.dataset import ShardWriter, TokenDataset
from josiecodec.datasets.export import export
from josiecodec.datasets.importing import import_dataset
from josiecodec.datasets.lhotse_cuts import drop_stale, load_codes, stale, windows
from josiecodec.errors import CodecError, CodesError, FormatError, ModelError
from josiecodec_cli.main import cli

RATE = AUDIO_INFO.sample_rate


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Recordings that end in the middle of a frame of 80 ms, one of them at another rate."""
    folder = tmp_path_factory.mktemp("media")
    random = np.random.default_rng(0)
    for i, codes in enumerate(made_codes(7)):
        rate = 16000 if i == 4 else RATE
        size = round((len(codes) * 0.08 - 0.005 - 0.01 * (i % 7)) * rate)
        soundfile.write(folder / f"r{i}.wav", 0.1 * random.standard_normal(size), rate)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, media):
    writer = ShardWriter(tmp_path_factory.mktemp("tokens") / "d", AUDIO_INFO)
    codes = made_codes(7)
    lines = []
    for i in range(7):
        seconds = soundfile.info(media / f"r{i}.wav").duration
        lines.append({"id": f"part/{i} é", "source": f"r{i}.wav", "start": 0.0, "duration": round(seconds, 6)})
    lines[0] |= {"text": "Hello there", "speaker": "s1", "language": "en"}
    for shard, part in enumerate((range(4), range(4, 7))):
        writer.write(shard, [(codes[i], lines[i]) for i in part])
    return TokenDataset(writer.folder)


def lhotse_cuts(folder):
    lhotse = pytest.importorskip("lhotse")
    return lhotse.CutSet.from_shar(in_dir=folder / "shar")


def same(ours: TokenDataset, other: TokenDataset) -> None:
    assert other.info == ours.info
    assert len(ours) == len(other)
    for one, two in zip(ours, other):
        assert np.array_equal(one.codes, two.codes)
        assert {**one.meta, "duration": 0} == {**two.meta, "duration": 0}
        assert two.meta["duration"] == pytest.approx(one.meta["duration"], abs=1e-6)


def test_a_shar_is_what_lhotse_writes(dataset, tmp_path):
    export(dataset, tmp_path / "out", "lhotse")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["dataset.json", "shar"]
    names = sorted(p.name for p in (tmp_path / "out" / "shar").iterdir())
    assert names == ["codes.000000.tar", "codes.000001.tar", "cuts.000000.jsonl.gz", "cuts.000001.jsonl.gz"]
    cuts = [json.loads(x) for x in gzip.open(tmp_path / "out" / "shar" / names[2])]
    with tarfile.open(tmp_path / "out" / "shar" / names[0]) as tar:
        members = tar.getnames()
        array = np.load(io.BytesIO(tar.extractfile(members[2]).read()))
    assert members[:3] == ["part/0 é.npy", "part/0 é.json", "part/1 é.npy"]
    assert array.dtype == np.int16
    assert np.array_equal(array, dataset[1].codes)
    assert cuts[1]["duration"] == pytest.approx(0.08 * len(dataset[1].codes))  # whole frames
    assert cuts[0]["supervisions"][0]["text"] == "Hello there"
    assert cuts[0]["custom"]["codes_pad"] == -1
    assert cuts[0]["custom"]["fingerprint"] == AUDIO_INFO.fingerprint


def test_lhotse_reads_it(dataset, tmp_path):
    export(dataset, tmp_path / "out", "lhotse")
    cuts = lhotse_cuts(tmp_path / "out")
    import lhotse
    from lhotse.dataset.collation import collate_custom_field

    for cut, clip in zip(cuts, dataset):
        lhotse.validate(cut)
        assert np.array_equal(cut.load_codes(), clip.codes)
    codes, lengths = collate_custom_field(cuts.to_eager(), "codes", pad_value=-1)
    assert codes.shape == (7, max(map(len, made_codes(7))), 4)
    assert all((row[n:] == -1).all() and (row[:n] >= 0).all() for row, n in zip(codes, lengths))


def test_windows_are_whole_frames_and_lose_none(dataset, media, tmp_path):
    for name, arguments in (("frames", []), ("sound", ["--media", str(media)])):
        done = CliRunner().invoke(
            cli, ["tokens", "export", str(dataset.folder), str(tmp_path / name), "--to", "lhotse", *arguments]
        )
        assert done.exit_code == 0, done.output
        cuts = lhotse_cuts(tmp_path / name)
        for cut, clip in zip(cuts, dataset):
            assert np.array_equal(load_codes(cut), clip.codes)
            pieces = list(windows([cut], 3))
            assert all(len(load_codes(piece)) == 3 for piece in pieces[:-1])
            assert np.array_equal(np.concatenate([load_codes(piece) for piece in pieces]), clip.codes)
        by_lhotse = sum(len(piece.load_codes()) for piece in cuts.cut_into_windows(0.5))
        assert by_lhotse < sum(dataset.lengths)  # 0.5 s are 6.25 frames


def test_recordings_are_found(dataset, media, tmp_path):
    run = CliRunner().invoke(
        cli, ["tokens", "export", str(dataset.folder), str(tmp_path / "o"), "--to", "lhotse", "--media", str(media)]
    )
    assert run.exit_code == 0, run.output
    lines = [json.loads(x) for p in sorted((tmp_path / "o" / "shar").glob("cuts*")) for x in gzip.open(p)]
    assert [x["recording"]["sampling_rate"] for x in lines] == [RATE] * 4 + [16000] + [RATE] * 2
    cuts = lhotse_cuts(tmp_path / "o")
    for i, cut in enumerate(cuts):
        sound, rate = soundfile.read(media / f"r{i}.wav")
        assert cut.sampling_rate == rate
        assert np.allclose(cut.load_audio()[0], sound, atol=1e-4)


def test_codes_of_a_changed_sound_are_dropped(dataset, media, tmp_path):
    CliRunner().invoke(
        cli, ["tokens", "export", str(dataset.folder), str(tmp_path / "o"), "--to", "lhotse", "--media", str(media)]
    )
    first, second = list(lhotse_cuts(tmp_path / "o"))[:2]
    padded = first.pad(first.duration + 1.0, pad_value_dict={"codes": -1})
    changed = [first.perturb_speed(1.1), first.perturb_volume(0.5), first.mix(second, snr=10), first.append(second)]
    for cut in changed:
        assert stale(cut)
        with pytest.raises(CodesError, match="changed or mixed"):
            load_codes(cut)
        left = drop_stale(cut)
        assert (
            all("codes" not in t.cut.custom for t in left.tracks)
            if hasattr(left, "tracks")
            else ("codes" not in left.custom)
        )
    assert not stale(first)
    assert drop_stale(first) is first
    assert np.array_equal(load_codes(first), dataset[0].codes)  # nothing was taken from the cut itself
    codes = load_codes(padded)
    assert np.array_equal(codes[: len(dataset[0].codes)], dataset[0].codes)
    assert (codes[len(dataset[0].codes) :] == -1).all()
    assert len(codes) >= len(dataset[0].codes) + 12
    with pytest.raises(CodesError, match="at least one frame"):
        list(windows([first], 0))
    with pytest.raises(CodesError, match="no codes"):
        list(windows([drop_stale(changed[0])], 2))


def nemo_items(path):
    """What NeMo makes of a manifest (`nemo.collections.common.parts.preprocessing.manifest`), said anew."""
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        name = item["audio_filename"] if "audio_filename" in item else item["audio_filepath"]
        file = Path(expanduser(name))
        if not file.is_absolute() and file.parent != Path("."):
            file = path.parent / file
        codes = torch.load(item["target_audio_codes_path"], weights_only=True).long()  # (C, T)
        yield file, float(item["duration"]), item.get("offset"), item.get("text", ""), item.get("lang"), codes


def test_nemo_reads_it_by_its_rules(dataset, media, tmp_path, monkeypatch):
    run = CliRunner().invoke(
        cli, ["tokens", "export", str(dataset.folder), str(tmp_path / "o"), "--to", "nemo", "--media", str(media)]
    )
    assert run.exit_code == 0, run.output
    monkeypatch.chdir(tmp_path)  # paths are found from anywhere
    items = list(nemo_items(tmp_path / "o" / "manifest.json"))
    assert len(items) == 7
    for (file, duration, offset, text, language, codes), clip in zip(items, dataset):
        assert soundfile.info(file).duration == pytest.approx(duration, abs=1e-5)
        assert offset == 0.0
        assert text == clip.meta.get("text", "")
        assert language == clip.meta.get("language")
        assert np.array_equal(codes.numpy(), clip.codes.T)


@pytest.mark.parametrize("kind", ["lhotse", "nemo", "jsonl", "npy"])
def test_what_was_exported_is_imported(kind, dataset, tmp_path):
    if kind == "lhotse":
        pytest.importorskip("lhotse")
    export(dataset, tmp_path / "out", kind)
    (tmp_path / "out").rename(tmp_path / "moved")
    run = CliRunner().invoke(
        cli, ["tokens", "import", str(tmp_path / "moved"), str(tmp_path / "d"), "--shard-clips", "3"]
    )
    assert run.exit_code == 0, run.output
    assert "7 clips" in run.output
    same(dataset, TokenDataset(tmp_path / "d"))
    with pytest.raises(CodecError, match="already exists"):
        import_dataset(tmp_path / "moved", tmp_path / "d")


def test_what_cannot_be_imported_leaves_nothing(dataset, tmp_path):
    export(dataset, tmp_path / "out", "jsonl")
    path = tmp_path / "out" / "00000.jsonl"
    for text in ("{", '{"audio": "x"}', '{"audio_codes": [["a"]]}', "[]"):
        path.write_text(text)
        with pytest.raises(FormatError, match=r"00000\.jsonl, line 1"):
            import_dataset(tmp_path / "out", tmp_path / "d")
    assert not (tmp_path / "d").exists()
    path.unlink()
    (tmp_path / "out" / "00001.jsonl").unlink()
    with pytest.raises(FormatError, match="neither a Shar"):
        import_dataset(tmp_path / "out", tmp_path / "d")
    (tmp_path / "out" / "dataset.json").unlink()
    with pytest.raises(FormatError, match="not a dataset"):
        import_dataset(tmp_path / "out", tmp_path / "d")


def test_a_damaged_line_behind_whole_shards_leaves_nothing(dataset, tmp_path):
    export(dataset, tmp_path / "out", "jsonl")
    last = sorted((tmp_path / "out").glob("*.jsonl"))[-1]
    whole = last.read_bytes()
    for behind in (b'\xff\xfe{"audio_codes": 1}', b'{"audio_codes": [[99999, 1, 1, 1]]}'):
        last.write_bytes(whole + behind)
        with pytest.raises(CodecError):
            import_dataset(tmp_path / "out", tmp_path / "d", shard_clips=2)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_damaged_arrays_are_named(dataset, tmp_path):
    export(dataset, tmp_path / "npy", "npy")
    export(dataset, tmp_path / "nemo", "nemo")
    array, tensor = next((tmp_path / "npy").rglob("*.npy")), next((tmp_path / "nemo").rglob("*.pt"))
    huge, other = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, {"descr": "<i8", "fortran_order": False, "shape": (1 << 42, 4)})
    torch.save({"a": 1}, other)
    damaged = [
        ("npy", array, data) for data in (b"", huge.getvalue(), b"PK\x03\x04 no archive", array.read_bytes()[:-1])
    ]
    damaged += [("nemo", tensor, data) for data in (b"", tensor.read_bytes()[:300], other.getvalue())]
    for folder, path, data in damaged:
        path.write_bytes(data)
        with pytest.raises(FormatError, match="no clip with codes"):
            import_dataset(tmp_path / folder, tmp_path / "d")
        assert not (tmp_path / "d").exists()


def test_cuts_of_another_model_are_refused(dataset, tmp_path):
    pytest.importorskip("lhotse")
    export(dataset, tmp_path / "out", "lhotse")
    info = tmp_path / "out" / "dataset.json"
    info.write_text(info.read_text().replace(AUDIO_INFO.fingerprint, "cd" * 32))
    with pytest.raises(ModelError, match="has codes of tiny"):
        import_dataset(tmp_path / "out", tmp_path / "d")


def test_pictures_are_imported_with_their_level_counts(tmp_path):
    writer = ShardWriter(tmp_path / "v", VISION_INFO)
    codes = np.array([[1, 2, -1], [3, -1, -1], [4, 5, 6], [-1, -1, -1]])
    writer.write(0, [(codes, {"id": "a", "source": "a.png", "start": 0.0, "grid": [1, 2, 2], "rate": [0, 1]})])
    export(TokenDataset(tmp_path / "v"), tmp_path / "out", "npy")
    assert import_dataset(tmp_path / "out", tmp_path / "d") == 1
    assert np.array_equal(TokenDataset(tmp_path / "d")[0].signed, codes)
    assert TokenDataset(tmp_path / "d")[0].meta == TokenDataset(tmp_path / "v")[0].meta
    (path,) = (tmp_path / "out").rglob("*.levels.npy")
    np.save(path, np.zeros(3, np.uint8))
    with pytest.raises(FormatError, match="does not fit the codes"):
        import_dataset(tmp_path / "out", tmp_path / "e")


def test_pictures_are_refused(tmp_path):
    writer = ShardWriter(tmp_path / "v", VISION_INFO)
    writer.write(0, [])
    for kind in ("lhotse", "nemo"):
        with pytest.raises(CodecError, match="sound alone"):
            export(TokenDataset(tmp_path / "v"), tmp_path / "out", kind)


def test_a_damaged_shar_is_one_error(dataset, tmp_path):
    pytest.importorskip("lhotse")
    export(dataset, tmp_path / "out", "lhotse")
    shar = tmp_path / "out" / "shar"
    archive, cuts = sorted(shar.glob("codes.*.tar"))[-1], sorted(shar.glob("cuts.*"))[-1]
    lines = gzip.decompress(cuts.read_bytes())
    without = re.sub(rb'"n_frames": \d+', b'"frames": 1', lines)
    for path, data in (
        (archive, archive.read_bytes()[:700]),
        (archive, b"\xff" * 1024 + archive.read_bytes()[1024:]),
        (archive, b""),
        (archive, None),
        (cuts, cuts.read_bytes()[:60]),
        (cuts, gzip.compress(lines[: len(lines) // 2])),
        (cuts, gzip.compress(without)),
    ):
        whole = path.read_bytes()
        path.unlink() if data is None else path.write_bytes(data)
        with pytest.raises(FormatError, match=r"shar: (damaged Shar|cut)"):
            import_dataset(tmp_path / "out", tmp_path / "d", shard_clips=2)
        assert [p.name for p in tmp_path.iterdir()] == ["out"]
        path.write_bytes(whole)
    assert import_dataset(tmp_path / "out", tmp_path / "d") == 7
