"""Pictures and video in and out: every kind of file, through the command line's own process too."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from kit.audio import speechlike, tiny_model
from kit.processes import run
from kit.video import write_video
from kit.vision import CONV, model, scene
from PIL import Image

import josiecodec
from josiecodec.coding.image import decode_image, encode_image
from josiecodec.coding.video import encode_video
from josiecodec.coding.video_decoding import decode_video
from josiecodec.errors import MediaError
from josiecodec.hub.store import save
from josiecodec.media.images import load_image, save_image
from josiecodec.media.kinds import kind_of
from josiecodec.media.video_reader import VideoReader, load_video
from josiecodec.media.video_writer import VideoWriter


@pytest.fixture(scope="module")
def visual():
    return model(CONV)


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


def test_pictures_of_every_kind(tmp_path):
    x = scene(20, 30)[0, :, 0]
    for suffix in (".png", ".bmp", ".tif", ".ppm"):
        save_image(x, tmp_path / f"x{suffix}")
        assert torch.allclose(load_image(tmp_path / f"x{suffix}"), x, atol=0.5 / 255 + 1e-6)
    for suffix in (".jpg", ".webp", ".avif"):
        save_image(x, tmp_path / f"x{suffix}")
        assert (load_image(tmp_path / f"x{suffix}") - x).abs().mean() < 0.05
    assert not list(tmp_path.glob(".*"))


def test_pictures_are_turned_upright(tmp_path):
    image = Image.fromarray(np.zeros((10, 20, 3), np.uint8))
    exif = image.getexif()
    exif[274] = 6  # lying on its side
    image.save(tmp_path / "x.jpg", exif=exif)
    assert load_image(tmp_path / "x.jpg").shape == (3, 20, 10)


def test_fine_greys_and_transparency(tmp_path):
    grey = (np.arange(400, dtype=np.uint16).reshape(20, 20) * 100).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert torch.allclose(load_image(tmp_path / "grey.png")[0], torch.from_numpy(grey / 65535).float())
    clear = np.zeros((4, 4, 4), np.uint8)
    Image.fromarray(clear, "RGBA").save(tmp_path / "clear.png")
    with pytest.warns(UserWarning, match="white"):
        assert load_image(tmp_path / "clear.png").min() == 1


def test_what_is_no_picture(tmp_path):
    (tmp_path / "x.png").write_bytes(b"not a picture")
    with pytest.raises(MediaError, match="not an image"):
        load_image(tmp_path / "x.png")
    with pytest.raises(MediaError, match="no such file"):
        load_image(tmp_path / "y.png")
    with pytest.raises(MediaError, match="cannot be written"):
        save_image(torch.zeros(3, 4, 4), tmp_path / "x.xyz")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("size", [(48, 64), (33, 51)])
def test_videos_come_back(tmp_path, suffix, size):
    x = write_video(tmp_path / f"x{suffix}", size, rate=Fraction(30000, 1001))
    back, rate = load_video(tmp_path / f"x{suffix}")
    assert rate == Fraction(30000, 1001)
    assert back.shape == x.shape
    assert (back - x).abs().max() < (0.5 / 255 + 1e-6 if suffix == ".mkv" else 0.5)
    assert (back - x).abs().mean() < 0.03


def test_uneven_times_are_put_on_a_grid(tmp_path):
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        for number, time in enumerate([0, 1, 5, 6, 7, 8, 9]):  # 2 to 4 are missing
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 30 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(tmp_path / "x.mkv") as reader:
        shown = [round(float(p.mean() * 255)) for p in reader.pictures()]
        assert reader.rate == 10
    assert shown == [30 * n for n in (0, 1, 1, 1, 1, 2, 3, 4, 5, 6)]


def test_a_clock_that_jumps_does_not_fill_the_disk(tmp_path):
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        for time in (0, 1, 2, 21_600_000, 21_600_001):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(tmp_path / "x.mkv") as reader:
        assert sum(1 for _ in reader.pictures()) == 5


def test_colors_survive_a_video(tmp_path):
    x = torch.tensor([0.8, 0.2, 0.1]).view(3, 1, 1).expand(3, 64, 64)
    with VideoWriter(tmp_path / "x.mp4", (64, 64), Fraction(10)) as writer:
        for _ in range(3):
            writer.write(x)
    back, _ = load_video(tmp_path / "x.mp4")
    assert (back[:, 1] - x).abs().max() < 0.02
    with av.open(str(tmp_path / "x.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)


def test_a_video_without_pictures_leaves_nothing(tmp_path):
    with pytest.raises(MediaError, match="without a picture"), VideoWriter(tmp_path / "x.mp4", (64, 64), Fraction(10)):
        pass
    assert not list(tmp_path.iterdir())


def test_kinds(tmp_path):
    write_video(tmp_path / "x.mp4")
    assert kind_of(tmp_path / "x.mp4") == "video"
    assert kind_of("a.PNG") == "image"
    assert kind_of("a.wav") == "audio"
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=24000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 24000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert kind_of(tmp_path / "song.mp4") == "audio"
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="not a media file"):
        kind_of(tmp_path / "bad.mp4")


def test_a_picture_file_comes_back(visual, tmp_path):
    save_image(scene(50, 70)[0, :, 0], tmp_path / "x.png")
    encode_image(visual, tmp_path / "x.png", tmp_path / "x.josie", 4)
    decode_image(visual, tmp_path / "x.josie", tmp_path / "back.png")
    expected = visual.decode(visual.encode(load_image(tmp_path / "x.png")[None], 4), (50, 70))[0]
    assert torch.allclose(load_image(tmp_path / "back.png"), expected, atol=0.5 / 255 + 1e-6)


def test_sound_and_pictures_stay_in_step(visual, tiny, tmp_path):
    write_video(tmp_path / "x.mp4", pictures=30, audio=True)
    encode_video(visual, tiny, tmp_path / "x.mp4", tmp_path / "x.josie", 4)
    done = decode_video(visual, tiny, tmp_path / "x.josie", tmp_path / "back.mkv")
    assert done.seconds == 3
    back, rate = load_video(tmp_path / "back.mkv")
    assert (back.shape[1], rate) == (30, 10)
    info = josiecodec.TokenFile.read(tmp_path / "x.josie").streams[1].info
    assert info.length == pytest.approx(72000, abs=1100)  # AAC has frames of 1024 samples
    from josiecodec.media.audio_reader import load_audio

    heard = load_audio(tmp_path / "back.mkv").samples.shape[-1]
    assert heard == info.length


def onset(level: torch.Tensor) -> int:
    """Where a level first rises above the middle of its range."""
    return int((level > (level.min() + level.max()) / 2).nonzero()[0])


@pytest.mark.parametrize("late", [0.0, 0.4])
def test_a_flash_and_its_beep_come_back_together(visual, tmp_path, late):
    from josiecodec.media.audio_reader import load_audio

    x = 0.2 * scene(48, 64, 40)[0]
    x[:, 12:20] = 1.0  # 1.2 s
    wave = torch.zeros(96000)
    wave[28800:48000] = 0.3 * sum(torch.sin(torch.arange(19200) * 0.05 * k) / k for k in range(1, 6))
    with VideoWriter(tmp_path / "x.mkv", (48, 64), Fraction(10), 24000) as writer:
        for picture in x.unbind(1):
            writer.write(picture)
        writer.samples = round(24000 * late)  # the track starts later, and without its beginning
        writer.write_audio(wave[writer.samples :])
    with VideoReader(tmp_path / "x.mkv") as reader:
        assert reader.audio_offset == pytest.approx(late, abs=0.002)
    audio = josiecodec.load("jodio-24k")
    encode_video(visual, audio, tmp_path / "x.mkv", tmp_path / "x.josie", 4)
    decode_video(visual, audio, tmp_path / "x.josie", tmp_path / "back.mkv")
    back, _ = load_video(tmp_path / "back.mkv")
    heard = load_audio(tmp_path / "back.mkv").samples[0]
    flash = onset(back.mean((0, 2, 3))) / 10
    beep = 240 * onset(heard[: len(heard) // 240 * 240].view(-1, 240).square().mean(1)) / 24000
    assert flash == pytest.approx(1.2, abs=0.11)  # untrained, it cannot tell the two pictures of a pair apart
    assert beep == pytest.approx(1.2, abs=0.12)


@pytest.mark.parametrize("offset", [-0.2, 0.0, 0.3])
def test_sound_that_starts_at_another_time_is_moved(tmp_path, offset):
    from josiecodec.coding.video import _shifted

    wave = torch.arange(1.0, 2401.0)
    pieces = (piece.numpy() for piece in wave.split(700))
    moved = torch.from_numpy(np.concatenate(list(_shifted(pieces, round(offset * 1000)))))
    expected = torch.cat([torch.zeros(max(0, round(offset * 1000))), wave[max(0, round(-offset * 1000)) :]])
    assert torch.equal(moved, expected)


def test_a_cut_off_video_gives_what_is_whole(visual, tiny, tmp_path):
    write_video(tmp_path / "x.mp4", pictures=30, audio=True)
    encode_video(visual, tiny, tmp_path / "x.mp4", tmp_path / "x.josie", 4)
    data = (tmp_path / "x.josie").read_bytes()
    done = decode_video(visual, tiny, data[: len(data) // 2], tmp_path / "back.mkv", salvage=True)
    assert done.problems
    assert 0 < load_video(tmp_path / "back.mkv")[0].shape[1] < 30


def test_the_command_line_takes_all_kinds(visual, tiny, tmp_path):
    models = ("--model", save(visual, tmp_path / "visual"), "--model", save(tiny, tmp_path / "audio"))
    media = tmp_path / "media"
    media.mkdir()
    save_image(scene(50, 70)[0, :, 0], media / "photo.png")
    write_video(media / "video.mp4", pictures=30, audio=True)
    import soundfile

    soundfile.write(media / "talk.wav", speechlike(10)[0, 0].numpy(), 24000)
    lines = run("encode", media, tmp_path / "tokens", *models, "--n-q", 3, "--json").splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"audio", "image", "video"}
    described = run("info", *sorted((tmp_path / "tokens").glob("*.josie")))
    assert "70 x 50, image" in described
    assert "30 pictures at 10/s" in described
    run("trim", tmp_path / "tokens" / "video.josie", tmp_path / "tokens" / "less.josie", "--n-q", 2)
    run("decode", tmp_path / "tokens", tmp_path / "back", *models)
    found = {p.name for p in (tmp_path / "back").iterdir()}
    assert found == {"photo.png", "video.mp4", "talk.wav", "less.mp4"}
    run("decode", tmp_path / "tokens" / "video.josie", tmp_path / "only.wav", *models)
    assert soundfile.info(tmp_path / "only.wav").duration == pytest.approx(3, abs=0.05)
    error = run("decode", tmp_path / "tokens" / "photo.josie", tmp_path / "no.wav", *models, code=2)
    assert "no audio" in error
    run("encode", media / "photo.png", tmp_path / "x.josie", *models, "--kbps", 3, code=2)
    run("encode", media / "talk.wav", tmp_path / "x.josie", *models, "--bpp", 3, code=2)
    assert "not reached" in _warned("encode", media / "photo.png", tmp_path / "x.josie", *models, "--bpp", 9)
    assert not list(tmp_path.rglob(".*"))


def _warned(*args: object) -> str:
    command = [sys.executable, "-m", "josiecodec_cli.main", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_without_a_model_for_pictures_videos_are_their_sound(tiny, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from josiecodec_cli.files import encode
    from josiecodec_cli.models import Models

    monkeypatch.setattr(Models, "has", lambda self, kind: False)
    media = tmp_path / "media"
    media.mkdir()
    write_video(media / "video.mp4", pictures=30, audio=True)
    save_image(scene(20, 20)[0, :, 0], media / "cover.jpg")
    model_folder = str(save(tiny, tmp_path / "audio"))
    done = CliRunner().invoke(encode, [str(media), str(tmp_path / "out"), "--model", model_folder])
    assert done.exit_code == 0, done.output
    assert "audio only" in done.output
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["video.josie"]
    assert [s.info.kind for s in josiecodec.TokenFile.read(tmp_path / "out" / "video.josie").streams] == ["audio"]
