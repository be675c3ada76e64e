"""Datasets on object storage, of which memory:// stands for all: order, resuming, processes, errors."""

from __future__ import annotations

import numpy as np
import pytest
from kit.datasets import AUDIO_INFO, VISION_INFO, made_codes, make_dataset
from torch.utils.data import DataLoader

from josiecodec.datasets.dataset import ShardWriter
from josiecodec.datasets.remote import ShardStream, Storage
from josiecodec.errors import CodecError, CodesError, FormatError, ModelError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("d"), made_codes(40, max_frames=30), shards=8)


@pytest.fixture
def url(local, tmp_path):
    """The dataset in memory, where tests may damage it."""
    system = fsspec.filesystem("memory")
    place = f"/{tmp_path.parent.name}-{tmp_path.name}"
    system.put(f"{local.folder}/", place, recursive=True)
    yield f"memory:/{place}"
    system.rm(place, recursive=True)


def ids(clips):
    return [clip.meta["id"] for clip in clips]


def test_every_clip_comes_once_in_an_order_of_the_epoch(local, url):
    stream = ShardStream(url)
    assert stream.info == local.info
    first, second = list(stream), list(stream)
    assert sorted(ids(first)) == sorted(ids(second)) == sorted(ids(local))
    assert ids(first) != ids(second)
    assert ids(first) != ids(local)
    by_id = {clip.meta["id"]: clip for clip in local}
    assert all(np.array_equal(clip.codes, by_id[clip.meta["id"]].codes) for clip in first)
    assert ids(ShardStream(url, n_q=2, seed=0)) == ids(first)
    assert next(iter(ShardStream(url, n_q=2))).codes.shape[1] == 2
    assert ids(ShardStream(url, seed=1)) != ids(first)


def test_processes_and_workers_share_it_out(local, url):
    parts = [ids(ShardStream(url, rank=r, world_size=3)) for r in range(3)]
    assert sorted(name for part in parts for name in part) == sorted(ids(local))
    path = f"file://{local.folder}"  # memory is of one process
    found = ids(DataLoader(ShardStream(path), batch_size=None, num_workers=2))
    assert sorted(found) == sorted(ids(local))


def test_crops_are_parts_of_clips(local, url):
    crops = list(ShardStream(url, frames=5, n_q=3))
    long = [clip.codes[:, :3] for clip in local if len(clip.codes) >= 5]
    assert len(crops) == pytest.approx(sum(map(len, long)) / 5, abs=3)
    windows = {codes[i : i + 5].tobytes() for codes in long for i in range(len(codes) - 4)}
    assert all(crop.shape == (5, 3) and crop.tobytes() in windows for crop in crops)
    assert len({crop.tobytes() for crop in crops}) > len(crops) / 2
    batches = list(DataLoader(ShardStream(url, frames=5), batch_size=8))
    assert batches[0].shape == (8, 5, 4)
    assert list(ShardStream(url, frames=1000)) == []


@pytest.mark.parametrize("frames", [None, 5])
def test_a_stream_goes_on_where_it_was(url, frames):
    def key(sample):
        return sample.meta["id"] if frames is None else sample.tobytes()

    stream = ShardStream(url, frames, seed=3, repeat=True)
    source = iter(stream)
    whole = [key(next(source)) for _ in range(60)]
    for at in (0, 1, 19, 33, 59):
        begun = ShardStream(url, frames, seed=3, repeat=True)
        source = iter(begun)
        for _ in range(at):
            next(source)
        again = ShardStream(url, frames, repeat=True)
        again.load_state_dict(begun.state_dict())
        source = iter(again)
        assert [key(next(source)) for _ in range(60 - at)] == whole[at:]


def test_workers_that_do_not_persist_are_told_the_epoch(local):
    stream = ShardStream(f"file://{local.folder}")
    loader = DataLoader(stream, batch_size=None, num_workers=1)
    passes = []
    for epoch in range(2):
        stream.set_epoch(epoch)
        passes.append(ids(loader))
    here = ShardStream(f"file://{local.folder}")
    assert passes == [ids(here), ids(here)]
    assert passes[0] != passes[1]


def test_what_gives_nothing_is_not_repeated_for_ever(url):
    with pytest.raises(CodesError, match="nothing to repeat"):
        next(iter(ShardStream(url, frames=1000, repeat=True)))
    with pytest.raises(CodesError, match="nothing to repeat"):
        next(iter(ShardStream(url, rank=8, world_size=9, repeat=True)))
    stream = ShardStream(url, held=8, repeat=True)
    stream.load_state_dict({"seed": 0, "epoch": 0, "group": 0, "given": 40})  # nothing is left of this epoch
    next(iter(stream))
    assert stream.epoch == 1


def test_what_is_wrong_is_one_error(url):
    with pytest.raises(CodecError, match="nowhere"):
        Storage("nowhere://x")
    with pytest.raises(FormatError, match=r"dataset\.json: cannot be read \(FileNotFoundError"):
        ShardStream("memory://none")
    for wrong in ({"frames": 0}, {"rank": 1}, {"held": 0}, {"n_q": 5}, {"n_q": 0}):
        with pytest.raises(CodesError):
            ShardStream(url, **wrong)
    system = fsspec.filesystem("memory")
    place = url.removeprefix("memory:/")
    whole = system.cat_file(f"{place}/00003.safetensors")
    for damaged in (b"", whole[:7], whole[:50], whole[:-1], whole.replace(b'"codes"', b'"cades"'), b"\xff" * 99):
        system.pipe_file(f"{place}/00003.safetensors", damaged)
        with pytest.raises(FormatError, match="00003"):
            list(ShardStream(url))
    system.pipe_file(f"{place}/00003.safetensors", whole.replace(b"abab", b"cdcd"))
    with pytest.raises(ModelError, match="another codec"):
        list(ShardStream(url))
    system.pipe_file(f"{place}/00003.safetensors", whole)
    system.pipe_file(f"{place}/00003.jsonl", b"{}\n")
    with pytest.raises(FormatError, match="1 lines for 5 clips"):
        list(ShardStream(url))
    assert list(ShardStream(url, frames=5))  # which need no metadata
    system.pipe_file(f"{place}/00003.jsonl", b"[]\n" * 5)
    with pytest.raises(FormatError, match="is damaged"):
        list(ShardStream(url))
    for name in system.ls(place, detail=False):
        if name.endswith(".jsonl"):
            system.rm(name)
    with pytest.raises(FormatError, match="no complete shards"):
        ShardStream(url)


def test_pictures_keep_their_level_counts(tmp_path):
    writer = ShardWriter(tmp_path / "v", VISION_INFO)
    codes = np.array([[1, 2, -1], [3, -1, -1], [4, 5, 6]])
    writer.write(0, [(codes, {"id": "a", "grid": [1, 1, 3], "rate": [0, 1]})])
    (clip,) = ShardStream(f"file://{tmp_path / 'v'}")
    assert np.array_equal(clip.signed, codes)
    (clip,) = ShardStream(f"file://{tmp_path / 'v'}", n_q=1)
    assert clip.levels.tolist() == [1, 1, 1]
    assert AUDIO_INFO.n_q == 4
