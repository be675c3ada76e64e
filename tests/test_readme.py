"""What the README says is true: its commands run, its Python runs, and its set-up is two lines."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import soundfile
from kit.audio import RATE, speechlike
from kit.video import write_video
from kit.vision import scene
from PIL import Image

from josiecodec.media.images import save_image

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.S)


def shell(command: str, cwd: Path) -> None:
    """Run a line of the README with this interpreter's josiecodec."""
    words = shlex.split(command, comments=True)
    module = {"josiecodec": "josiecodec_cli.main", "josielm": "josielm.cli.main"}[words[0]]
    line = [sys.executable, "-P", "-m", module, *words[1:]]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_set_up_is_two_commands():
    section = TEXT.split("## Set up")[1].split("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert len(commands) == 2
    assert commands[0].startswith("pip install . && josiecodec encode")
    assert commands[1] == 'pip install -e ".[dev]" && pytest'


def test_the_first_command_does_the_main_job(tmp_path):
    section = TEXT.split("## Set up")[1]
    line = next(line.strip() for line in section.splitlines() if line.startswith("    pip install . "))
    shutil.copytree(ROOT / "josiecodec" / "samples", tmp_path / "josiecodec" / "samples")
    for command in line.split(" && ")[1:]:
        shell(command, tmp_path)
    original = soundfile.info(ROOT / "josiecodec" / "samples" / "speech.flac")
    decoded = soundfile.info(tmp_path / "speech.wav")
    assert decoded.frames == original.frames
    assert (tmp_path / "speech.josie").stat().st_size < 160 * decoded.duration + 300


def test_the_command_line_block_runs(tmp_path):
    soundfile.write(tmp_path / "talk.wav", speechlike(40)[0, 0].numpy(), RATE)
    (tmp_path / "recordings").mkdir()
    shutil.copy(tmp_path / "talk.wav", tmp_path / "recordings")
    (tmp_path / "pictures").mkdir()
    save_image(scene(180, 240)[0, :, 0], tmp_path / "pictures" / "one.png")
    Image.open(tmp_path / "pictures" / "one.png").save(tmp_path / "photo.jpg", quality=92)
    write_video(tmp_path / "clip.mp4", (96, 128), 20, audio=True)
    lines = [line for line in blocks("sh")[0].splitlines() if line.strip()]
    assert len(lines) > 6
    for line in lines:
        shell(line, tmp_path)
    assert (tmp_path / "encoded" / "talk.josie").exists()
    assert soundfile.info(tmp_path / "back.wav").frames == 40 * 1920
    assert (tmp_path / "page" / "index.html").exists()
    assert (tmp_path / "back.mp4").exists()
    assert Image.open(tmp_path / "photo.png").size == (240, 180)
    assert (tmp_path / "photo.josie").stat().st_size * 8 < 0.21 * 240 * 180


def test_from_a_folder_to_a_language_model(tmp_path):
    (tmp_path / "recordings").mkdir()
    for n in range(3):
        soundfile.write(tmp_path / "recordings" / f"{n}.flac", speechlike(70, seed=n)[0, 0].numpy(), RATE)
    for line in blocks("sh")[1].splitlines():
        shell(
            line.replace("--steps 200", "--steps 20"), tmp_path
        )  # all 200 are in test_lm_cli.py, with a smaller codec
    assert len(list((tmp_path / "arrays").rglob("*.npy"))) == 3
    assert soundfile.info(tmp_path / "babble.wav").frames == 5 * RATE


def test_text_to_speech(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear reader,\n\nthis is a letter. It was written in 2024.\n")
    first, second, train = blocks("sh")[2].splitlines()
    shell(first, tmp_path)
    shell(second, tmp_path)
    assert soundfile.info(tmp_path / "morning.wav").duration > 2
    assert (tmp_path / "letter.josie").exists()
    shell(train.split("--data")[0] + "--help", tmp_path)


def test_five_lines_go_from_file_to_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", speechlike(65)[0, 0].numpy(), RATE)
    code = blocks("python")[0]
    assert TEXT.index(code) < TEXT.index("```sh")  # it comes first
    assert len(code.strip().splitlines()) <= 5
    exec(code, {})
    assert soundfile.info("back.wav").frames == 65 * 1920
    assert "TokenFile(TokenStream(audio, 5.20 s, 65 frames" in capsys.readouterr().out


def test_the_python_blocks_run():
    names: dict = {}
    exec(blocks("python")[1], names)  # the README's own code, each block by itself
    assert names["codes"].shape == (1, 9, 13)
    assert names["back"].shape == (1, 24000)
    assert names["other"].shape[-1] == 19
    names = {}
    exec(blocks("python")[2], names)
    assert names["codes"].shape == (1, 8, 17, 30)
    assert names["back"].shape == (3, 270, 480)


def test_training_commands_exist():
    """They are too long to run here; their options must at least be known (test_training runs the rest)."""
    text = blocks("sh")[3].replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("josiecodec train")]
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line, comments=True)[1:3]
        out = subprocess.run(
            [sys.executable, "-m", "josiecodec_cli.main", *words, "--help"], capture_output=True, text=True
        ).stdout
        for option in re.findall(r"(--[a-z-]+)", line):
            assert option in out, f"{option} of {line}"


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
