"""From media files to shards: the same codes in any batch, and the same shards whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.tokenize_child import KILLED, SERVER, contents_of, in_child, run, run_measured
from kit.video import write_video
from kit.vision import CONV, model, scene

from josiecodec.audio.loudness import factor
from josiecodec.datasets.dataset import TokenDataset
from josiecodec.datasets.verify import problems
from josiecodec.errors import CodecError, MediaError, ModelError
from josiecodec.hub.store import load, save
from josiecodec.media.audio_reader import AudioReader, load_audio
from josiecodec.media.images import save_image
from josiecodec.tokenization.audio import batches
from josiecodec.tokenization.compare import compare
from josiecodec.tokenization.manifest import find_items
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Recordings of 0.01 s to 9 s, of several kinds, and some that are none."""
    folder = tmp_path_factory.mktemp("media")
    wave = speechlike(30 * 12.5, seed=3)[0, 0].numpy()
    lengths = random.Random(0).choices(range(100, 3 * RATE), k=26)
    for n, length in enumerate([*lengths, 240, 1920, 1921, 9 * RATE]):
        path = folder / "abc"[n % 3] / f"{n:02d}.{('wav', 'flac', 'ogg')[n % 3]}"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, wave[n * 1000 : n * 1000 + length], RATE)
    soundfile.write(folder / "stereo.wav", np.stack([wave[:50000], wave[70000:120000]], 1), 44100)
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE)
    (folder / "a" / "broken.wav").write_bytes(b"RIFF and then nothing")
    (folder / "b" / "notes.txt").write_text("not media")
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save(tiny_model(), tmp_path_factory.mktemp("model"), torch.float32)


@pytest.fixture(scope="module")
def codec(saved):
    return load(saved)


@pytest.fixture(scope="module")
def whole(folder, codec, tmp_path_factory) -> Path:
    """The dataset that an undisturbed run makes, 7 shards."""
    out = tmp_path_factory.mktemp("whole") / "d"
    reports = tokenize(codec, make_plan(folder, shard_clips=5), out, Settings(4, batch_seconds=6.0))
    assert sum(r.clips for r in reports) == 31
    assert sum(r.bad for r in reports) == 2
    return out


def test_clips_are_what_their_files_give_alone(folder, codec, whole):
    dataset = TokenDataset(whole)
    assert not list(problems(whole, 7))
    assert len(dataset) == 31
    for i in range(len(dataset)):
        clip = dataset[i]
        wave = load_audio(folder / clip.meta["source"]).samples
        louder = wave * float(factor(clip.meta.get("gain_db", 0)))
        assert np.array_equal(clip.codes.T, codec.encode(louder, 4)[0].numpy())
        assert clip.meta["duration"] == pytest.approx(wave.shape[-1] / RATE, abs=1e-6)
    errors = [json.loads(line) for line in (whole / "errors.jsonl").read_text().splitlines()]
    assert [e["id"] for e in errors] == ["a/broken.wav", "empty.wav"]
    assert "not a single sample" in errors[1]["error"]


@pytest.mark.parametrize("seconds", [0.5, 2.0, 100.0])
def test_the_size_of_batches_changes_nothing(folder, codec, whole, tmp_path, seconds):
    tokenize(codec, make_plan(folder, shard_clips=5), tmp_path, Settings(4, batch_seconds=seconds, workers=3))
    assert contents_of(tmp_path) == contents_of(whole)


@pytest.mark.parametrize("kind", ["seanet", "mimi"])
def test_the_other_families_batch_but_for_rounding(kind, folder, tmp_path):
    other = tiny_model(kind)  # its kernels round differently for different lengths
    media = folder / "a"
    found = []
    for n, seconds in enumerate((1.0, 100.0)):
        tokenize(other, make_plan(media), tmp_path / str(n), Settings(4, batch_seconds=seconds))
        found.append(TokenDataset(tmp_path / str(n)))
    assert found[0].lengths.tolist() == found[1].lengths.tolist()
    same = [np.mean(found[0][i].codes == found[1][i].codes) for i in range(len(found[0]))]
    assert np.mean(same) > 0.97


def test_batches_are_of_like_length_and_bounded():
    lengths = {n: length for n, length in enumerate([5, 90, 7, 30, 6, 31, 200])}
    assert list(batches(lengths, 100)) == [[6], [1], [5, 3, 2], [4, 0]]
    assert list(batches(lengths, 0)) == [[6], [1], [5], [3], [2], [4], [0]]


def test_long_recordings_take_no_more_memory(saved, codec, tmp_path):
    """Twenty minutes, 115 MB of samples as they go through the model."""
    path = tmp_path / "long.wav"
    wave = (speechlike(20 * 12.5)[0, 0] * 32767).short().numpy()
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(60):
            file.write(wave)
    assert in_child(run_measured, saved, path, tmp_path / "out", tmp_path / "grown") == 0
    dataset = TokenDataset(tmp_path / "out")
    assert dataset.lengths.tolist() == [60 * 250]
    again = codec.encode(load_audio(path).samples[:, : 40 * RATE], 4)[0]
    assert np.array_equal(dataset.crop(0, 0, 500).T, again.numpy())
    assert float((tmp_path / "grown").read_text()) < 95


# Input ----------------------------------------------------------------------------------------------


def test_manifests_name_parts_and_channels(folder, codec, tmp_path):
    lines = [
        {"path": "stereo.wav", "offset": 0.25, "duration": 0.5, "text": "hallo", "speaker": "x", "mood": "glad"},
        {"audio_filepath": "stereo.wav", "start": 0.5, "channel": 1, "id": "right", "group": "g"},
        {"path": "stereo.wav", "duration": 1.13},
        {"path": "stereo.wav", "start": 77, "id": "late"},
        {"path": "stereo.wav", "channel": 2},
        {"path": "missing.flac"},
    ]
    manifest = folder / "list.jsonl"
    manifest.write_text("\n\n".join(map(json.dumps, lines)))
    tokenize(codec, make_plan(manifest), tmp_path / "d", Settings(4))
    dataset = TokenDataset(tmp_path / "d")
    metas = {m["id"]: m for m in map(dataset.meta, range(len(dataset)))}
    assert list(metas) == ["right", "stereo.wav", "stereo.wav#0.25"]
    part = metas["stereo.wav#0.25"]
    assert (part["start"], part["duration"], part["text"], part["speaker"]) == (0.25, 0.5, "hallo", "x")
    assert part["extra"] == {"mood": "glad"}
    assert (metas["right"]["channel"], metas["right"]["group"]) == (1, "g")
    samples, rate = soundfile.read(folder / "stereo.wav", dtype="float32")
    soundfile.write(tmp_path / "right.wav", samples[rate // 2 :, 1], rate, "FLOAT")
    right = codec.encode(load_audio(tmp_path / "right.wav").samples, 4)[0]
    assert np.array_equal(dataset[0].codes.T, right.numpy())
    errors = {json.loads(x)["id"]: json.loads(x)["error"] for x in (tmp_path / "d" / "errors.jsonl").open()}
    assert "ends before 77 s" in errors["late"]
    assert "none with the number 2" in errors["stereo.wav@2"]
    assert errors["missing.flac"] == "no such file"
    again = compare(codec, dataset, folder, 3)
    assert [c.equal for c in again] == [1.0] * 3
    soundfile.write(tmp_path / "stereo.wav", samples[::-1], rate)
    assert all(c.equal != 1 and c.problem for c in compare(codec, dataset, tmp_path, 3))
    assert [c.equal for c in compare(codec, dataset, tmp_path / "d", 3)] == [None] * 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "line 2: not a JSON object"),
        ('["x.wav"]', "line 2: not a JSON object"),
        ('{"text": "a"}', "line 2: no path"),
        ('{"path": "x.wav", "start": -1}', "line 2: start -1"),
        ('{"path": "x.wav", "duration": NaN}', "line 2: duration nan"),
        ('{"path": "x.wav", "channel": true}', "line 2: channel True"),
        ('{"path": "x.wav", "id": 3}', "line 2: id 3"),
        ('{"path": "x.wav", "start": 1%s}' % ("0" * 400), "line 2: start 1000"),
        ('{"path": "x.wav", "text": 1e999}', "line 2: it holds NaN"),
        ('{"path": "x.wav", "mood": {"a": [NaN]}}', "line 2: it holds NaN"),
        (r'{"path": "x.wav", "text": "\ud800"}', "line 2: it holds"),
        (r'{"path": "\udc80.wav"}', "line 2: it holds"),
        ('{"path": "a.wav"}', "two clips have the id 'a.wav'"),
    ],
)
def test_wrong_manifests_are_reported(tmp_path, line, text):
    (tmp_path / "m.jsonl").write_text('{"path": "a.wav"}\n' + line)
    with pytest.raises(CodecError, match=text.replace("[", "\\[")):
        make_plan(tmp_path / "m.jsonl")


def test_manifests_decide_what_is_a_recording(folder, codec, tmp_path):
    (tmp_path / "sound.xyz").write_bytes((folder / "a" / "00.wav").read_bytes())
    (tmp_path / "notes.txt").write_text("not media")
    save_image(scene(16, 16)[0, :, 0], tmp_path / "x.png")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(json.dumps({"path": p}) for p in ("sound.xyz", "notes.txt", "none", "x.png")))
    assert find_items(manifest)[0] == "vision"
    tokenize(codec, make_plan(manifest, "audio"), tmp_path / "d", Settings(4))
    assert [TokenDataset(tmp_path / "d").meta(0)["id"]] == ["sound.xyz"]
    errors = [json.loads(line)["id"] for line in (tmp_path / "d" / "errors.jsonl").read_text().splitlines()]
    assert errors == ["none", "notes.txt"]


def test_folders_patterns_and_kinds(folder, tmp_path):
    kind, items = find_items(folder)
    assert kind == "audio"
    assert len(items) == 33
    assert [i.id for i in items] == sorted(i.id for i in items)
    assert [i.id for i in find_items(f"{folder}/*/*.ogg")[1]] == [i.id for i in items if i.id.endswith(".ogg")]
    assert "02.ogg" in [i.id for i in find_items(f"{folder}/c/0*.ogg")[1]]
    assert [i.id for i in find_items(folder / "a" / "00.wav")[1]] == ["00.wav"]
    save_image(scene(16, 16)[0, :, 0], tmp_path / "x.png")
    assert find_items(tmp_path)[0] == "vision"
    for source, what in ((folder, "vision"), (tmp_path, "audio"), (tmp_path / "no", None)):
        with pytest.raises(MediaError):
            find_items(source, what)


def test_names_that_are_not_utf8(folder, codec, tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    names = {
        b"caf\xe9.wav": "a/00.wav",
        b"caf\xe8.mkv": "a/broken.wav",
        b"\xff.wav": "a/broken.wav",
        b"z.wav": "a/00.wav",
    }
    for name, source in names.items():
        try:
            (media / os.fsdecode(name)).write_bytes((folder / source).read_bytes())
        except OSError:  # some systems have no such names
            pytest.skip("names of files are UTF-8 here")
    tokenize(codec, make_plan(media), tmp_path / "d", Settings(4))
    dataset = TokenDataset(tmp_path / "d")
    assert [dataset.meta(i)["id"] for i in range(len(dataset))] == ["caf\\xe9.wav", "z.wav"]
    assert np.array_equal(dataset[0].codes, dataset[1].codes)
    errors = [json.loads(line) for line in (tmp_path / "d" / "errors.jsonl").read_text("utf-8").splitlines()]
    assert [e["source"] for e in errors] == ["\\xff.wav", "caf\\xe8.mkv"]


def test_parts_of_files_are_cut_exactly(folder, tmp_path):
    wave, rate = soundfile.read(folder / "stereo.wav", dtype="float32")
    soundfile.write(tmp_path / "x.flac", wave, rate, "PCM_24")
    write_video(tmp_path / "x.mkv", pictures=20, audio=True)
    for path in (folder / "stereo.wav", tmp_path / "x.flac", tmp_path / "x.mkv"):
        with AudioReader(path) as reader:
            everything = np.concatenate(list(reader.blocks()))
        for first, count in ((0, None), (7, 100), (40000, 40000), (3, 0)):
            with AudioReader(path) as reader:
                found = [np.zeros((0, everything.shape[1])), *reader.blocks(first, count)]
            assert np.array_equal(np.concatenate(found), everything[first : None if count is None else first + count])


def test_shards_are_bounded_and_shared_out(folder, monkeypatch):
    plan = make_plan(folder, shard_clips=5)
    assert [len(s) for s in plan.shards] == [5] * 6 + [3]
    assert sorted(plan.share(1, 3) + plan.share(2, 3) + plan.share(3, 3)) == list(range(7))
    for part in (0, 4):
        with pytest.raises(CodecError):
            plan.share(part, 3)
    monkeypatch.setattr("josiecodec.tokenization.plan.SHARD_BYTES", 60000)
    small = make_plan(folder)
    assert [i for s in small.shards for i in s] == [i for s in plan.shards for i in s]
    assert all(len(s) == 1 or sum(i.weight for i in s) <= 60000 for s in small.shards)


def test_a_dataset_keeps_to_its_plan_and_model(folder, codec, whole, tmp_path):
    with pytest.raises(CodecError, match="shard_clips 5 then, 1000 now"):
        tokenize(codec, make_plan(folder), whole, Settings(4))
    with pytest.raises(CodecError, match="clips 33 then, 11 now"):
        tokenize(codec, make_plan(folder / "a", shard_clips=5), whole, Settings(4))
    with pytest.raises(ModelError, match="3 levels"):
        tokenize(codec, make_plan(folder, shard_clips=5), whole, Settings(3))
    with pytest.raises(ModelError, match="folder of their own"):
        tokenize(tiny_model("seanet"), make_plan(folder, shard_clips=5), whole, Settings(4))
    with pytest.raises(CodecError, match="for audio"):
        tokenize(model(CONV), make_plan(folder), tmp_path / "x", Settings(4))
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(3000), RATE)
    tokenize(codec, make_plan(path), tmp_path / "d", Settings(4))
    os.utime(path, (1, 1))
    with pytest.raises(CodecError, match="changed since"):
        tokenize(codec, make_plan(path), tmp_path / "d", Settings(4))


# Being killed ---------------------------------------------------------------------------------------


def test_killed_between_clips_nothing_is_lost_or_there_twice(saved, folder, whole, tmp_path):
    draw = random.Random(0)
    kills = useful = 0
    while in_child(run, saved, folder, tmp_path, (1, 1), -1, draw.randrange(1, 13)) == KILLED:
        kills += 1
        done = _finished(tmp_path)
        useful += bool(done)
        assert done == {name: data for name, data in contents_of(whole).items() if name in done}
    assert contents_of(tmp_path) == contents_of(whole)
    assert kills > 3
    assert useful > 1


def _finished(out: Path) -> dict[str, bytes]:
    """The files of shards that say they are done."""
    found = contents_of(out) if out.is_dir() else {}
    done = {name.split(".")[0] for name in found if name.startswith("0") and name.count(".") == 1 and "jsonl" in name}
    return {name: data for name, data in found.items() if name.split(".")[0] in done}


def test_killed_at_every_single_step(saved, codec, folder, tmp_path):
    source = tmp_path / "media"
    source.mkdir()
    for name in ("a/broken.wav", "a/00.wav", "b/01.flac"):
        (source / Path(name).name).write_bytes((folder / name).read_bytes())
    plan, settings = make_plan(source, shard_clips=5), Settings(4, batch_seconds=6.0)
    tokenize(codec, plan, tmp_path / "whole", settings)
    steps = 0
    while in_child(run, saved, source, tmp_path / f"{steps}", (1, 1), steps) == KILLED:
        out = tmp_path / f"{steps}"
        tokenize(codec, plan, out, settings)
        assert contents_of(out) == contents_of(tmp_path / "whole")
        assert not list(out.glob(".0*")), "what was left of the shard is still there"
        tokenize(codec, plan, out, settings)
        assert contents_of(out) == contents_of(tmp_path / "whole")
        steps += 1
    assert steps == 14  # seven files


def test_shares_of_several_processes_make_one_dataset(saved, folder, whole, tmp_path):
    workers = [SERVER.Process(target=run, args=(saved, folder, tmp_path / "d", (n, 3))) for n in (1, 2, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [w.exitcode for w in workers] == [0, 0, 0]
    assert contents_of(tmp_path / "d") == contents_of(whole)


def test_ray_makes_the_same_though_an_actor_is_killed(saved, folder, whole, tmp_path, monkeypatch):
    import ray

    from josiecodec.tokenization.ray_engine import tokenize_with_ray

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, object_store_memory=100 << 20)
    killed = threading.Event()

    def kill_one(report):
        if not killed.is_set():
            killed.set()
            os.kill(int(report.worker.split(":")[1]), signal.SIGKILL)

    try:
        plan = make_plan(folder, shard_clips=5)
        reports = tokenize_with_ray(
            saved, plan, tmp_path / "d", Settings(4, batch_seconds=6.0), actors=2, readers=1, on_shard=kill_one
        )
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert killed.is_set()
    assert sorted(r.shard for r in reports) == list(range(7))
    assert len({r.worker for r in reports if r.worker}) > 1
    assert contents_of(tmp_path / "d") == contents_of(whole)
