"""What a new user types, from the first file to a folder that is compared, tokenised and decoded again."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import soundfile
from kit.audio import RATE, speechlike, tiny_model

from josiecodec.hub.store import save

COMMANDS = """
models
encode talk.wav --model model
encode talk.wav --model model -> 2 already exists
encode talk.wav talk.mp3 --model model -> 2 is no target
encode talk.wav --model model --skip-existing
info talk.josie
info talk.wav
decode talk.josie back.wav --model model
decode talk.josie back.wav --model model -> 2 already exists
decode talk.josie back.flac --model model --sample-rate 16000
trim talk.josie small.josie --n-q 2
encode recordings --dry-run
encode recordings encoded --model model
encode recordings encoded --model model --skip-existing
decode encoded decoded/ --model model --format flac -q
eval audio recordings --model model --n-q 2 --out compared --html page
eval codes encoded/a.josie encoded/b.josie
tokenize recordings dataset --model model
tokens info dataset
tokens verify dataset --against recordings --model model
tokens decode dataset clip.wav --clip 0 --model model
"""


def test_twenty_commands_without_a_surprise(tmp_path):
    save(tiny_model(), tmp_path / "model")
    soundfile.write(tmp_path / "talk.wav", speechlike(20)[0, 0].numpy(), RATE)
    (tmp_path / "recordings").mkdir()
    for name in "ab":
        soundfile.write(tmp_path / "recordings" / f"{name}.wav", speechlike(15)[0, 0].numpy(), RATE)
    lines = COMMANDS.strip().splitlines()
    assert len(lines) >= 20
    for line in lines:
        command, _, failure = line.partition(" -> ")
        code, _, text = failure.partition(" ")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "josiecodec", *shlex.split(command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == int(code or 0), f"{command}\n{done.stderr}"
        assert text in done.stderr
        assert "Traceback" not in done.stderr
        assert ".py:" not in done.stderr, f"{command}\n{done.stderr}"  # no raw warning with a path of a source file
    assert _made(tmp_path, "decoded") == ["a.flac", "b.flac"]
    assert _made(tmp_path, "encoded") == ["a.josie", "b.josie"]
    assert (tmp_path / "page" / "index.html").is_file()
    assert soundfile.info(tmp_path / "back.wav").frames == soundfile.info(tmp_path / "talk.wav").frames


def _made(folder: Path, name: str) -> list[str]:
    return sorted(path.name for path in (folder / name).iterdir())
