"""Listening tests: a static page, blind, for MUSHRA (ITU-R BS.1534-3), ABX, or preference between two codecs (AB).

`FOLDER/page` is what listeners get: `index.html` and sounds whose names say nothing. `FOLDER/key.json` says what they
are, and stays behind. `listening_results` reads what listeners send back.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..atomic import write_bytes
from ..errors import CodecError
from .items import SAMPLE_RATE, Item, evenly_spaced
from .loudness import Wave, anchor, loudness

KINDS = ("mushra", "abx", "ab")
LEVEL = -23.0  # LUFS
ANCHORS = {"anchor 3.5 kHz": 3500.0, "anchor 7 kHz": 7000.0}
REFERENCE = "reference"
MAX_ITEMS, MAX_CODECS = 12, 6  # keys 1 to 9 choose them, the hidden reference and two anchors
SECONDS = (0.5, 30.0)


def write_listening_test(
    folder: Path, items: list[Item], rows: list[dict[str, Any]], kind: str = "mushra", seed: int = 0
) -> dict[str, Any]:
    """Write a test of what a comparison decoded.

    Args:
        folder: a new or empty one.
        items, rows: of `run.compare`; recordings that a codec failed on are left out.
        kind: one of `KINDS`. "abx": each codec and the original; "ab": the first codec and each other.
        seed: of names and orders; the same seed gives the same test.

    Returns:
        the key, as in `key.json`.

    Raises:
        CodecError: if the folder is not empty, there is nothing to hear, or there are too many codecs.
    """
    codecs = list(dict.fromkeys(row["codec"] for row in rows))
    check_folder(folder, codecs, kind)
    decoded = {(row["file"], row["codec"]): row["decoded"] for row in rows if "error" not in row}
    least, most = SECONDS
    usable = [
        item
        for item in items
        if all((item.name, codec) in decoded for codec in codecs) and least <= len(item.load()[0]) / SAMPLE_RATE <= most
    ]
    if not usable:
        raise CodecError(f"no recording of {least:g} to {most:g} s that all codecs decoded")
    chance = random.Random(seed)
    key: dict[str, Any] = {"kind": kind, "seed": seed, "trials": []}
    sounds: dict[str, Wave] = {}
    for item in evenly_spaced(usable, MAX_ITEMS):
        waves = _waves(item, {codec: decoded[item.name, codec] for codec in codecs}, kind)
        for names in _trials(kind, codecs):
            trial: dict[str, Any] = {"item": item.name, "sounds": {}}
            for name in names:
                sound = f"{chance.getrandbits(48):012x}"
                sounds[sound] = waves[name.removeprefix("hidden ")]
                trial["sounds"][sound] = name
            key["trials"].append(trial)
    key["test"] = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    if kind == "abx":
        _hide_x(key, sounds, chance)
    _write(folder, key, sounds, chance)
    return key


def check_folder(folder: Path, codecs: list[str], kind: str) -> None:
    """Make sure that a test can be written, before anything is encoded.

    Raises:
        CodecError: as `write_listening_test`.
    """
    if kind not in KINDS:
        raise CodecError(f"no listening test {kind!r}; there are {', '.join(KINDS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodecError(f"{folder} is not empty")
    if len(codecs) > MAX_CODECS:
        raise CodecError(f"{len(codecs)} codecs are too many for one test; at most {MAX_CODECS}")
    if kind == "ab" and len(codecs) < 2:
        raise CodecError("a test of preference needs two codecs")


def _trials(kind: str, codecs: list[str]) -> list[list[str]]:
    """Names of the sounds of each trial of an item, what listeners know as the reference first."""
    if kind == "mushra":
        return [[REFERENCE, f"hidden {REFERENCE}", *ANCHORS, *codecs]]
    if kind == "abx":
        return [[REFERENCE, codec] for codec in codecs]
    return [[codecs[0], codec] for codec in codecs[1:]]


def _hide_x(key: dict[str, Any], sounds: dict[str, Wave], chance: random.Random) -> None:
    """Add X to trials of ABX: a copy of A or B under a name of its own."""
    for trial in key["trials"]:
        truth = chance.choice(list(trial["sounds"]))
        x = f"{chance.getrandbits(48):012x}"
        sounds[x] = sounds[truth]
        trial |= {"x": x, "x_is": truth}


def _waves(item: Item, decoded: dict[str, str], kind: str) -> dict[str, Wave]:
    """All sounds of an item at equal loudness, no peak above full scale."""
    original = item.load()[0].double().numpy()
    waves = {REFERENCE: original}
    if kind == "mushra":
        waves |= {name: anchor(original, SAMPLE_RATE, bandwidth) for name, bandwidth in ANCHORS.items()}
    for codec, path in decoded.items():
        waves[codec] = soundfile.read(path, dtype="float64")[0]
    for name, wave in waves.items():
        level = loudness(wave, SAMPLE_RATE)
        waves[name] = wave * 10 ** ((LEVEL - level) / 20) if np.isfinite(level) else wave
    peak = max(float(np.abs(wave).max(initial=0)) for wave in waves.values())
    return {name: wave / max(peak, 1.0) for name, wave in waves.items()}


def _write(folder: Path, key: dict[str, Any], sounds: dict[str, Wave], chance: random.Random) -> None:
    page = folder / "page"
    (page / "sounds").mkdir(parents=True)
    for name in sorted(sounds):  # in this order: times of files say nothing either
        soundfile.write(page / "sounds" / f"{name}.wav", sounds[name], SAMPLE_RATE, subtype="PCM_16")
    trials = []
    for number, trial in enumerate(key["trials"]):
        names = list(trial["sounds"])
        shown: dict[str, Any] = {"trial": number, "sounds": names}
        if key["kind"] == "mushra":
            shown = {"trial": number, "reference": names[0], "sounds": names[1:]}
        chance.shuffle(shown["sounds"])
        trials.append(shown | ({"x": trial["x"]} if "x" in trial else {}))
    data = {"test": key["test"], "kind": key["kind"], "seed": key["seed"], "trials": trials}
    template = (Path(__file__).parent / "assets" / "listening.html").read_text(encoding="utf-8")
    write_bytes(page / "index.html", template.replace("/*DATA*/", json.dumps(data)).encode())
    write_bytes(folder / "key.json", (json.dumps(key, indent=1) + "\n").encode())
