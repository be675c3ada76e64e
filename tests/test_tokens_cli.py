"""`tokenize` and `tokens` as commands: what users type, and what they are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.processes import run, run_cli
from kit.video import write_video
from kit.vision import CONV, model, scene

from josiecodec.coding.audio import decode_file
from josiecodec.datasets.dataset import TokenDataset
from josiecodec.errors import CodesError, ModelError
from josiecodec.evaluation.items import find_audio
from josiecodec.hub.store import load, save
from josiecodec.media.audio_reader import load_audio
from josiecodec.media.images import load_image, save_image
from josiecodec.media.video_reader import load_video
from josiecodec.tokenization.decode import decode_clip


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    wave = speechlike(60)[0, 0].numpy()
    for n in range(4):
        soundfile.write(folder / f"{n}.wav", wave[: (n + 1) * RATE + n], RATE)
    (folder / "bad.wav").write_bytes(b"no sound")
    save_image(scene(40, 50)[0, :, 0], folder / "x.png")
    write_video(folder / "y.mkv", pictures=9)
    return folder


@pytest.fixture(scope="module")
def audio_model(tmp_path_factory) -> Path:
    return save(tiny_model(), tmp_path_factory.mktemp("jodio"), torch.float32)


@pytest.fixture(scope="module")
def vision_model(tmp_path_factory) -> Path:
    return save(model(CONV), tmp_path_factory.mktemp("jovio"), torch.float32)


@pytest.fixture(scope="module")
def dataset(media, audio_model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tokens") / "d"
    args = ["tokenize", media, out, "--model", audio_model, "--shard-clips", 2, "--n-q", 3]
    first = run_cli(*args, "--shard", "1/2")
    assert "2 of 3 shards done; 2 audio clips" in first.stdout
    assert "x real time" in first.stdout
    assert "2 files left out" in first.stderr
    result = json.loads(run(*args, "--json"))
    assert (result["clips"], result["bad"], result["shards_done"], result["shards_planned"]) == (2, 0, 3, 3)
    return out


def test_what_is_there_is_shown_and_checked(dataset, media, audio_model):
    found = json.loads(run("tokens", "info", dataset, "--json"))
    assert (found["clips"], found["n_q"], found["frame_rate"], found["kind"]) == (4, 3, [25, 2], "audio")
    assert found["hours"] == pytest.approx(10 / 3600, rel=1e-3)
    assert len(found["usage"]) == len(found["entropy"]) == 3
    assert all(0 < e <= 6 for e in found["entropy"])
    output = run("tokens", "verify", dataset, "--against", media, "--model", audio_model)
    assert "4 clips in 3 shards, all intact" in output
    assert "4 clips encoded again" in output
    assert "the same codes" in output


def test_codes_that_differ_are_never_called_the_same(dataset, media, audio_model, tmp_path):
    others = shutil.copytree(media, tmp_path / "media")
    wave = load_audio(media / "3.wav").samples[0].numpy()
    soundfile.write(others / "3.wav", np.concatenate([wave[:RATE], -0.5 * wave[RATE:]]), RATE)
    output = run("tokens", "verify", dataset, "--against", others, "--model", audio_model, "--tolerance", 1)
    assert "4 clips encoded again" in output
    assert "the same codes" not in output
    assert "% of the codes of each are equal" in output


def test_bad_files_are_listed(dataset):
    lines = [json.loads(line) for line in (dataset / "errors.jsonl").read_text().splitlines()]
    assert [(e["id"], e["source"]) for e in lines] == [("bad.wav", "bad.wav"), ("y.mkv", "y.mkv")]
    assert "not an audio file" in lines[0]["error"]
    assert "no audio" in lines[1]["error"]


def test_a_clip_is_decoded(dataset, media, audio_model, tmp_path):
    codec = load(audio_model)
    run("tokens", "decode", dataset, tmp_path / "x.wav", "--clip", "2.wav", "--model", audio_model)
    first = TokenDataset(dataset, 1)
    decode_clip(codec, first.info, first[2], tmp_path / "y.wav")
    decode_clip(codec, first.info, TokenDataset(dataset)[2], tmp_path / "z.josie")
    decode_file(codec, str(tmp_path / "z.josie"), tmp_path / "z.wav")
    wave = load_audio(media / "2.wav").samples
    for name, n_q in (("x", 3), ("y", 1), ("z", 3)):
        expected = codec.decode(codec.encode(wave, n_q), wave.shape[-1])[0].clamp(-1, 1)
        found = load_audio(tmp_path / f"{name}.wav").samples
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 2 / 32768
    assert first.number_of("2.wav") == first.number_of("2") == 2
    for wrong in ("none", "4", "-1"):
        with pytest.raises(CodesError, match=f"no clip '{wrong}' among 4"):
            first.number_of(wrong)
    with pytest.raises(ModelError, match="was made by tiny-spectral"):
        decode_clip(tiny_model("seanet"), first.info, first[2], tmp_path / "no.wav")
    output = run("tokens", "decode", dataset, tmp_path / "no.wav", "--clip", "0", code=2)
    assert "did not come with this version; give its folder" in output
    assert not (tmp_path / "no.wav").exists()


def test_pictures_come_back(media, vision_model, tmp_path):
    out = tmp_path / "v"
    output = run("tokenize", media, out, "--kind", "vision", "--model", vision_model, "--n-q", 4)
    assert "2 vision clips" in output
    codec, dataset = load(vision_model), TokenDataset(out)
    decode_clip(codec, dataset.info, dataset[0], tmp_path / "x.png")
    picture = load_image(media / "x.png")
    expected = codec.decode(codec.encode(picture[None], 4), (40, 50))[0]
    assert (load_image(tmp_path / "x.png") - expected).abs().max() < 0.51 / 255 + 1e-5
    decode_clip(codec, dataset.info, dataset[1], tmp_path / "y.mkv")
    video, rate = load_video(media / "y.mkv")
    found, found_rate = load_video(tmp_path / "y.mkv")
    assert found_rate == rate
    expected = codec.decode(codec.encode(video[None], 4), tuple(video.shape[-2:]), video.shape[1])[0]
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 0.6 / 255
    shown = run("tokens", "info", out)
    assert "2 clips" in shown
    assert "vision: 72 patches, 4 levels x 64 codes" in shown


def test_export(dataset, tmp_path):
    output = run("tokens", "export", dataset, tmp_path / "out", "--to", "npy", "--n-q", 2)
    assert "4 clips" in output
    assert np.load(tmp_path / "out" / "00000" / "000000.npy").shape == (13, 2)


def test_damage_is_reported(dataset, tmp_path):
    folder = shutil.copytree(dataset, tmp_path / "d")
    data = bytearray((folder / "00000.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "00000.safetensors").write_bytes(data)
    (folder / "00002.jsonl").unlink()
    output = run("tokens", "verify", folder, code=2)
    assert "1 of 3 shards are not done yet" in output
    assert "shard 00000: 00000.safetensors: not the bytes that were written" in output


def test_results_are_there_for_programs(dataset, media, audio_model, tmp_path):
    found = json.loads(run("tokens", "verify", dataset, "--against", media, "--model", audio_model, "--json"))
    assert (found["clips"], found["shards"], found["compared"], found["problems"]) == (4, 3, 4, [])
    assert found["lowest_equal"] == 1
    found = json.loads(run("tokens", "export", dataset, tmp_path / "out", "--to", "npy", "--json"))
    assert found == {"input": str(dataset), "output": str(tmp_path / "out"), "format": "npy", "clips": 4}
    decode = ("tokens", "decode", dataset, tmp_path / "a.wav", "--clip", 0, "--model", audio_model)
    found = json.loads(run(*decode, "--json"))
    assert found["bytes"] == (tmp_path / "a.wav").stat().st_size
    assert "--overwrite" not in run(*decode, code=2)
    assert run_cli(*decode, "--skip-existing").stdout == ""
    found = json.loads(run("save", audio_model, tmp_path / "model", "--json"))
    assert Path(found["output"]) == tmp_path / "model"
    folder = shutil.copytree(dataset, tmp_path / "d")
    (folder / "00002.jsonl").unlink()
    done = run_cli("tokens", "verify", folder, "--json", code=2)
    assert json.loads(done.stdout)["problems"] == ["1 of 3 shards are not done yet"]


def test_a_dry_run_and_a_strict_one(media, audio_model, tmp_path):
    args = ("tokenize", media, "-o", tmp_path / "d", "--model", audio_model)
    assert "6 audio clips in 1 of 1 shards" in run(*args, "--dry-run")
    assert not (tmp_path / "d").exists()
    assert run_cli(*args, "-q", "--strict", code=2).stdout == ""
    assert run(*args, "--dry-run", "--json").count('"clips": 0') == 1
    assert "either as OUT or with -o" in run("tokenize", media, tmp_path / "d", "-o", tmp_path / "e", code=2)


@pytest.fixture(scope="module")
def two_tracks(tmp_path_factory) -> Path:
    """A film whose first track is silent, and whose second one is not."""
    folder = tmp_path_factory.mktemp("tracks")
    with av.open(str(folder / "a.mka"), "w", format="matroska") as file:
        tracks = [file.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        for track, level in zip(tracks, (0, 8000)):
            wave = (level * np.sin(np.arange(RATE) / 20)).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            file.mux([*track.encode(frame), *track.encode(None)])
    return folder


def test_another_track_is_tokenized_shown_and_measured(two_tracks, audio_model, tmp_path):
    film = two_tracks / "a.mka"
    shown = [json.loads(run("info", film, "--audio-track", n, "--json"))["sound"] for n in (1, 2)]
    assert [s["track"] for s in shown] == [1, 2]
    assert shown[0]["peak"] < 1e-3 < shown[1]["peak"]
    for n in (1, 2):
        run("tokenize", two_tracks, tmp_path / str(n), "--model", audio_model, "--audio-track", n)
    first, second = (TokenDataset(tmp_path / n)[0] for n in "12")
    assert not np.array_equal(first.codes, second.codes)
    assert second.meta["audio_track"] == 2
    output = run("tokens", "verify", tmp_path / "2", "--against", two_tracks, "--model", audio_model)
    assert "the same codes" in output
    (tmp_path / "m.jsonl").write_text(json.dumps({"path": str(film), "audio_track": 2}))
    run("tokenize", tmp_path / "m.jsonl", tmp_path / "3", "--model", audio_model)
    assert np.array_equal(TokenDataset(tmp_path / "3")[0].codes, second.codes)
    assert "has 2 track(s)" in run("info", film, "--audio-track", 3, code=2)
    assert find_audio(two_tracks, audio_track=2)[0].load()[0].abs().max() > 0.2


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--shard", "3/2"], "'3/2' is not a part"),
        (["--kind", "vision"], "not for vision"),
        (["--adaptive"], "--adaptive is for vision"),
        (["--kind", "vision", "--audio-track", 2], "--audio-track is for tokens of audio"),
        (["--actors", 2], "--actors needs --engine ray"),
    ],
)
def test_wrong_use_is_reported_in_one_line(media, audio_model, tmp_path, args, text):
    assert text in run("tokenize", media, tmp_path / "o", "--model", audio_model, *args, code=2)
    assert not (tmp_path / "o").exists()
