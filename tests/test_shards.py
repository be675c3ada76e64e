"""Shards of tokens: what is written is read back, by us and by others; damage is reported."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.audio import tiny_model
from kit.datasets import AUDIO_INFO, VISION_INFO, made_codes, make_dataset
from kit.vision import CONV, model

from josiecodec.datasets.dataset import Crop, DatasetInfo, ShardWriter, TokenDataset
from josiecodec.datasets.export import export
from josiecodec.datasets.sampler import MixedDataset
from josiecodec.datasets.shard_file import MAX_HEADER
from josiecodec.datasets.verify import contents, problems
from josiecodec.errors import CodecError, CodesError, FormatError, ModelError
from josiecodec.tokenization.decode import clip_to_josie, decode_audio, decode_pictures


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> TokenDataset:
    return make_dataset(tmp_path_factory.mktemp("tokens") / "d", made_codes(50))


def test_clips_come_back(dataset):
    clips = made_codes(50)
    assert len(dataset) == 50
    assert dataset.lengths.tolist() == [len(c) for c in clips]
    for i, codes in enumerate(clips):
        assert np.array_equal(dataset[i].codes, codes)
        assert dataset[i].meta["id"] == f"c{i}"
        assert dataset[i].meta["n_frames"] == len(codes)
    assert np.array_equal(dataset[-1].codes, clips[-1])
    for bad in (50, -51):
        with pytest.raises(IndexError):
            dataset[bad]


@settings(max_examples=50, deadline=None)
@given(i=st.integers(0, 49), start=st.integers(0, 60), n=st.integers(0, 60), n_q=st.integers(1, 4))
def test_crops_are_slices(dataset, i, start, n, n_q):
    found = TokenDataset(dataset.folder, n_q).crop(i, start, n)
    assert np.array_equal(found, made_codes(50)[i][start : start + n, :n_q])
    assert found.dtype == np.uint16
    assert found.flags.writeable
    assert np.array_equal(found, TokenDataset(dataset.folder, n_q)[Crop(i, start, n)])


def test_pieces_in_seconds(dataset):
    rate = dataset.info.frame_rate[0] / dataset.info.frame_rate[1]
    long = int(dataset.lengths.argmax())
    whole = dataset[long].codes
    assert np.array_equal(dataset.piece(long, 2 / rate, 3 / rate), whole[2:5])
    assert np.array_equal(dataset.piece(long, 2.5 / rate, 2.1 / rate), whole[2:5])
    assert np.array_equal(dataset.piece(long, 1 / rate), whole[1:])
    assert len(dataset.piece(long, 1e300, 1e300)) == 0
    for start, seconds in ((-1.0, 1.0), (0.0, float("nan")), (float("inf"), None)):
        with pytest.raises(CodesError):
            dataset.piece(long, start, seconds)


def test_others_can_read_the_files(dataset):
    tensors = safetensors.numpy.load_file(dataset.folder / "00001.safetensors")
    lines = [json.loads(line) for line in (dataset.folder / "00001.jsonl").read_text().splitlines()]
    assert np.array_equal(np.diff(tensors["offsets"]), [line["n_frames"] for line in lines])
    assert np.array_equal(tensors["codes"], np.concatenate(made_codes(50)[17:34]))
    with safetensors.safe_open(dataset.folder / "00001.safetensors", "pt") as file:
        assert file.metadata()["fingerprint"] == AUDIO_INFO.fingerprint
        assert torch.equal(file.get_tensor("codes"), torch.from_numpy(tensors["codes"]))
    done = subprocess.run(["sha256sum", "--check", "--quiet", "00001.sha256"], cwd=dataset.folder)
    assert done.returncode == 0


def test_patches_keep_their_levels(tmp_path):
    random = np.random.default_rng(0)
    codes = random.integers(0, 64, (40, 3))
    codes[np.arange(3) >= random.integers(0, 4, (40, 1))] = -1
    dataset = make_dataset(tmp_path / "v", [codes], 1, VISION_INFO)
    assert np.array_equal(dataset[0].signed, codes)
    assert np.array_equal(TokenDataset(dataset.folder, 2)[0].signed, codes[:, :2])
    assert not list(problems(dataset.folder))
    found = contents(dataset)
    assert found.counts.sum(1).tolist() == (codes >= 0).sum(0).tolist()
    with pytest.raises(CodesError, match="left out"):
        ShardWriter(dataset.folder, VISION_INFO).write(1, [(np.array([[-1, 3, 3]]), {"id": "x"})])


@pytest.mark.parametrize(
    "codes",
    [np.zeros((3, 5), int), np.zeros(3, int), np.zeros((3, 4)), np.full((3, 4), 64), np.full((3, 4), -1)],
)
def test_codes_that_do_not_fit_leave_nothing(tmp_path, codes):
    writer = ShardWriter(tmp_path, AUDIO_INFO)
    with pytest.raises(CodesError):
        writer.write(0, [(made_codes(1)[0], {"id": "a"}), (codes, {"id": "b"})])
    assert not writer.done(0)
    assert [p.name for p in tmp_path.iterdir()] == ["dataset.json"]
    with pytest.raises(CodesError, match="JSON"):
        writer.write(0, [(made_codes(1)[0], {"id": float("nan")})])


def test_an_empty_shard_is_one(tmp_path):
    dataset = make_dataset(tmp_path, [], 1)
    assert len(dataset) == 0
    assert not list(problems(tmp_path))
    assert contents(dataset).entropy == [0.0] * 4


def test_another_codec_needs_another_folder(dataset, tmp_path):
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    other = DatasetInfo("tiny", "ef" * 32, "audio", 4, 64, 24000, (25, 2), 1)
    with pytest.raises(ModelError, match="folder of their own"):
        ShardWriter(folder, other)
    (folder / "dataset.json").write_text(other.to_json())
    with pytest.raises(ModelError, match="another codec"):
        TokenDataset(folder)
    mine = make_dataset(tmp_path / "other", made_codes(3), 1, other)
    with pytest.raises(ModelError, match="cannot be mixed"):
        MixedDataset([dataset, mine])
    with pytest.raises(CodesError, match="give one n_q"):
        MixedDataset([dataset, TokenDataset(dataset.folder, 2)])


def test_datasets_that_say_visual_are_of_vision(tmp_path):
    """As earlier versions wrote; they are read, appended to and exported like others."""
    codes = np.array([[1, 2, -1], [3, -1, -1]])
    make_dataset(tmp_path, [codes], 1, VISION_INFO)
    old = (tmp_path / "dataset.json").read_text().replace('"vision"', '"visual"')
    assert '"visual"' in old
    (tmp_path / "dataset.json").write_text(old)
    assert TokenDataset(tmp_path).info == VISION_INFO
    ShardWriter(tmp_path, VISION_INFO).write(1, [(codes, {"id": "later"})])
    dataset = TokenDataset(tmp_path)
    assert [np.array_equal(dataset[i].signed, codes) for i in range(2)] == [True, True]
    assert (tmp_path / "dataset.json").read_text() == old
    assert json.loads(dataset.info.to_json())["kind"] == "vision"
    assert not list(problems(tmp_path))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "version 2"),
        ({"colour": "red"}, "unknown key"),
        ({"n_q": 0}, "n_q"),
        ({"frame_rate": [25]}, "fraction"),
        ({"frame_rate": [0, 1]}, "frame_rate"),
        ({"kind": "smell"}, "kind"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(change, text):
    values = json.loads(AUDIO_INFO.to_json())
    assert DatasetInfo.from_json(json.dumps(values)) == AUDIO_INFO
    with pytest.raises(FormatError, match=text):
        DatasetInfo.from_json(json.dumps(values | change))


def test_damage_gives_typed_errors(dataset, tmp_path):
    whole = (dataset.folder / "00000.safetensors").read_bytes()
    random = np.random.default_rng(0)
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    errors = 0
    for trial in range(300):
        data = bytearray(whole)
        end = 8 + int.from_bytes(whole[:8], "little") + 200
        for position in random.integers(0, end, 3):
            data[position] = random.integers(256)
        (folder / "00000.safetensors").write_bytes(data[: len(data) - 7 * (trial % 3 == 0)])
        try:
            opened = TokenDataset(folder)
            for i in range(3):
                opened[i], opened.crop(i, 0, 9)
        except CodecError:
            errors += 1
        assert list(problems(folder)) or bytes(data) == whole
    assert errors > 150
    huge = (MAX_HEADER + 1).to_bytes(8, "little") + b" " * (MAX_HEADER + 9)
    for data in (b"", b"\0" * 8, huge, whole[:100]):
        (folder / "00000.safetensors").write_bytes(data)
        with pytest.raises(FormatError):
            TokenDataset(folder)


def test_claims_are_checked_before_memory_is_taken(dataset, tmp_path):
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    whole = (folder / "00000.safetensors").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    for shape, ends in (([1 << 50, 4], [0, 1 << 53]), ([1 << 40, 0], [0, 0]), ([-4, -4], [0, 32]), (["3", 4], [0, 24])):
        header = json.loads(whole[8 : 8 + size])
        header["codes"] |= {"shape": shape, "data_offsets": ends}
        text = json.dumps(header).encode()
        (folder / "00000.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + size :])
        with pytest.raises(FormatError):
            TokenDataset(folder)


def test_headers_that_contradict_themselves(dataset, tmp_path):
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    whole = (folder / "00000.safetensors").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    text = json.dumps(json.loads(whole[8 : 8 + size]) | {"__metadata__": ["fingerprint"]}).encode()
    (folder / "00000.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + size :])
    with pytest.raises(FormatError, match="damaged header"):
        TokenDataset(folder)
    data = bytearray(whole)
    data[8 + size + 8 : 8 + size + 24] = np.array([1 << 62, -(1 << 63)], "<i8").tobytes()
    (folder / "00000.safetensors").write_bytes(data)
    with pytest.raises(FormatError, match="offsets"):
        TokenDataset(folder)


def test_lengths_that_no_clip_has(tmp_path):
    ShardWriter(tmp_path, AUDIO_INFO).write(0, [(np.zeros((1, 4), int), {"id": "a"})])
    audio_codec, vision_codec = tiny_model(), model(CONV)
    for length in (float("nan"), float("inf"), -1, 10**400, 1e300):
        line = {"id": "a", "duration": length, "n_frames": 1, "size": [length, 8], "pictures": length, "rate": [0, 1]}
        (tmp_path / "00000.jsonl").write_text(json.dumps(line) + "\n")
        dataset = TokenDataset(tmp_path)
        with pytest.raises(FormatError, match="duration"):
            contents(dataset)
        with pytest.raises(FormatError, match="duration"):
            clip_to_josie(audio_codec, dataset[0])
        with pytest.raises(FormatError, match="duration"):
            list(decode_audio(audio_codec, dataset[0]))
        for decode in (clip_to_josie, lambda *clip: list(decode_pictures(*clip))):
            with pytest.raises(CodecError):
                decode(vision_codec, dataset[0])


@pytest.mark.parametrize("line", [{"id": 3}, {"start": "now"}, {"source": ["x"]}, {"id": "\ud800"}, {"text": "\ud800"}])
def test_lines_that_fit_no_table(tmp_path, line):
    ShardWriter(tmp_path / "d", AUDIO_INFO).write(0, [(np.zeros((1, 4), int), {"id": "a"})])
    (tmp_path / "d" / "00000.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(FormatError):
        export(TokenDataset(tmp_path / "d"), tmp_path / "out", "parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_lines_that_do_not_fit_are_reported(dataset, tmp_path):
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    lines = (folder / "00000.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "00000.jsonl").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(FormatError, match="16 lines for 17 clips"):
        TokenDataset(folder)[0]
    (folder / "00000.jsonl").write_bytes(b"".join([b"[1]\n", *lines[1:]]))
    with pytest.raises(FormatError, match="damaged line, 1"):
        TokenDataset(folder)[0]
    assert list(problems(folder)) == ["shard 00000: 00000.jsonl: not the bytes that were written"]


@pytest.mark.parametrize("data", [None, b"\xff\xfe", b"", b"[]", b"{}"])
def test_folders_that_are_no_datasets_are_refused(tmp_path, data):
    if data is not None:
        (tmp_path / "dataset.json").write_bytes(data)
    with pytest.raises(FormatError, match=r"dataset\.json"):
        TokenDataset(tmp_path)


def test_clips_with_the_same_id_are_reported(tmp_path):
    writer = ShardWriter(tmp_path, AUDIO_INFO)
    for shard in range(2):
        writer.write(shard, [(made_codes(1)[0], {"id": "same"})])
    assert list(problems(tmp_path, 3)) == [
        "1 of 3 shards are not done yet",
        "shard 00001: there is another clip 'same'",
    ]


def test_a_copy_in_a_worker_has_the_same_clips(dataset, tmp_path):
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    opened = TokenDataset(folder, 2)
    sent = pickle.dumps(opened)
    assert len(sent) < 1000
    ShardWriter(folder, AUDIO_INFO).write(3, [(made_codes(1)[0], {"id": "later"})])
    assert len(pickle.loads(sent)) == 50
    assert np.array_equal(pickle.loads(sent)[7].codes, opened[7].codes)
    assert len(TokenDataset(folder)) == 51


# Export -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["audio", "vision"])
def exported(request, tmp_path_factory) -> TokenDataset:
    folder = tmp_path_factory.mktemp("export") / "d"
    if request.param == "audio":
        return make_dataset(folder, made_codes(20))
    random = np.random.default_rng(1)
    clips = [random.integers(0, 64, (n, 3)) for n in (1, 5, 9)]
    return make_dataset(
        folder, [np.where(np.arange(3) < np.arange(len(c))[:, None], c, -1) for c in clips], 1, VISION_INFO
    )


def test_parquet_is_read_by_arrow(exported, tmp_path):
    import pyarrow.parquet as pq

    assert export(TokenDataset(exported.folder, 2), tmp_path / "out", "parquet") == len(exported)
    table = pq.read_table(tmp_path / "out")
    info = json.loads(table.schema.metadata[b"josiecodec"])
    assert info["n_q"] == 2
    rows = table.to_pylist()
    assert [r["id"] for r in rows] == [exported.meta(i)["id"] for i in range(len(exported))]
    for i, row in enumerate(rows):
        clip = TokenDataset(exported.folder, 2)[i]
        assert np.array_equal(np.array(row["codes"]).reshape(-1, 2), clip.codes)
        assert row["n_frames"] == len(clip.codes)
        if clip.levels is not None:
            assert row["levels"] == clip.levels.tolist()


def test_webdataset_is_read_by_webdataset(exported, tmp_path):
    import webdataset

    export(exported, tmp_path / "out", "webdataset")
    shards = sorted(map(str, (tmp_path / "out").glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert len(samples) == len(exported)
    for i, sample in enumerate(samples):
        assert np.array_equal(sample["codes.npy"], exported[i].codes)
        assert sample["json"] == exported.meta(i)
        if exported[i].levels is not None:
            assert np.array_equal(sample["levels.npy"], exported[i].levels)


def test_npy_is_read_by_numpy(exported, tmp_path):
    export(exported, tmp_path / "out", "npy")
    lines = [json.loads(x) for f in sorted((tmp_path / "out").glob("0*.jsonl")) for x in f.read_text().splitlines()]
    assert len(lines) == len(exported)
    for i, line in enumerate(lines):
        assert np.array_equal(np.load(tmp_path / "out" / line["file"]), exported[i].codes)
        assert line["id"] == exported.meta(i)["id"]


def test_a_failed_export_leaves_nothing(dataset, tmp_path):
    folder = shutil.copytree(dataset.folder, tmp_path / "d")
    (folder / "00001.jsonl").write_bytes(b"\n")
    with pytest.raises(FormatError):
        export(TokenDataset(folder), tmp_path / "out", "npy")
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
    for target, kind in ((folder, "npy"), (tmp_path / "out", "pickle")):
        with pytest.raises(CodecError):
            export(dataset, target, kind)
