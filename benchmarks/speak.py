"""Synthetic speech as material for a voice, and how well what a voice says is understood.

    python benchmarks/speak.py material OUT TEXT... --hours 5   # recordings and manifests, by the package hibari-tts
    josielm train speak --data OUT/train.jsonl --out voice --synthetic --minutes 20
    python benchmarks/speak.py judge OUT/held_out.jsonl --voice voice --whisper base

The texts are plain text files, such as books in the public domain. Needs `pip install hibari-tts onnx` and
`josiecodec[judges]`.
"""

# ruff: noqa: RUF001 (phones look like letters)

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile

from josielm.speech.lexicon import Lexicon, dictionary
from josielm.speech.phones import CONSONANTS, VOWELS, is_vowel
from josielm.speech.words import TextError, sentences

RATE = 24000
TICK = 0.025  # seconds of the teacher's unit of duration
DURATIONS = "/Clip_output_0"  # name of the durations in its graph
HELD_OUT = 50
MOST_WORDS, MOST_SYMBOLS = 34, 330
# Phones as the teacher writes them.
VOWEL_NAMES = dict(zip((v for v in VOWELS if v not in ("AH", "ER")), "ɑæɔWIɛAɪiOYʊu", strict=True))
CONSONANT_NAMES = dict(zip(CONSONANTS, "bʧdðfɡhʤklmnŋpɹsʃtθvwjzʒ", strict=True))


class Unknown(Exception):
    """A word that the dictionary lacks; sentences with one are left out."""


def refuse(word: str) -> list[str]:
    """Reads no word."""
    raise Unknown(word)


def teacher_text(symbols: list[str]) -> list[str]:
    """How the teacher writes each of some symbols; T between vowels is a flap."""
    out = []
    for i, symbol in enumerate(symbols):
        if is_vowel(symbol):
            vowel, stress = symbol[:2], symbol[2]
            name = {"AH": "ə" if stress == "0" else "ʌ", "ER": "əɹ" if stress == "0" else "ɜɹ"}.get(vowel)
            out.append({"1": "ˈ", "2": "ˌ", "0": ""}[stress] + (name or VOWEL_NAMES[vowel]))
        elif symbol == "T" and 0 < i < len(symbols) - 1 and is_vowel(symbols[i - 1]) and symbols[i + 1][2:] == "0":
            out.append("T")
        else:
            out.append(CONSONANT_NAMES.get(symbol, symbol))
    return out


class Teacher:
    """hibari's own network, which also says how long each symbol takes."""

    def __init__(self) -> None:
        import hibari
        import onnx
        import onnxruntime

        assets = Path(hibari.__file__).parent / "assets"
        graph = onnx.load(str(assets / "hibari.onnx"))
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        self.ids = json.loads((assets / "vocab.json").read_text(encoding="utf-8"))

    def speak(self, symbols: list[str], speed: float, semitones: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Waveform [T] and seconds of each symbol."""
        from hibari import dsp

        ids, owners = [0], [0]
        for i, text in enumerate(teacher_text(symbols[1:-1]), 1):
            ids += [self.ids[c] for c in text]
            owners += [i] * len(text)
        ids, owners = [*ids, 0], [*owners, len(symbols) - 1]
        given = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        *parts, pitch = (x[0] for x in self.session.run(None, given)[:6])
        ticks = np.asarray(self.session.run([DURATIONS], given)[0]).reshape(-1)
        pitch = (pitch * 2 ** (semitones / 12)).astype(np.float32)
        wave = dsp.synth(*parts, pitch, np.random.default_rng(seed))
        return wave.astype(np.float32), np.bincount(owners, ticks, len(symbols)) * TICK


def sentences_of(texts: tuple[Path, ...], lexicon: Lexicon, seed: int) -> list[tuple[str, list[str]]]:
    """Words and symbols of all sentences of some files that can be read, each once, in random order."""
    found = {}
    for path in texts:
        text = path.read_text(encoding="utf-8", errors="replace").replace("_", "").replace("--", " -- ")
        for paragraph in re.split(r"\n\s*\n", text):
            try:
                for pieces in sentences(re.sub(r"\s+", " ", paragraph)):
                    symbols = lexicon.sentence(pieces)[0]
                    if len(pieces) <= MOST_WORDS and len(symbols) <= MOST_SYMBOLS:
                        found[" ".join(piece.text for piece in pieces)] = symbols
            except (TextError, Unknown):
                continue
    rows = sorted(found.items())
    random.Random(seed).shuffle(rows)
    return rows


@click.group()
def main() -> None:
    """Material for a voice, and a judge of it."""


@main.command()
@click.argument("out", type=Path)
@click.argument("texts", type=Path, nargs=-1, required=True)
@click.option("--hours", default=5.0, show_default=True)
@click.option("--seed", default=5, show_default=True)
def material(out: Path, texts: tuple[Path, ...], hours: float, seed: int) -> None:
    """Read sentences of TEXTS aloud to OUT: train.jsonl, and 50 of 6 to 22 words to held_out.jsonl.

    Every second sentence of the training is faster, slower, higher or lower than usual, so that voices learn to be.
    """
    rows = sentences_of(texts, Lexicon(refuse, dictionary()), seed)
    held = [row for row in rows if 6 <= len(row[0].split()) <= 22][:HELD_OUT]
    apart = {words for words, _ in held}
    rng, teacher, total = random.Random(seed), Teacher(), 0.0
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("held_out", held), ("train", [row for row in rows if row[0] not in apart])):
        with open(out / f"{name}.jsonl", "w", encoding="utf-8") as manifest:
            for number, (words, symbols) in enumerate(part):
                if name == "train" and total > hours * 3600:
                    break
                usual = name == "held_out" or rng.random() < 0.5
                speed, semitones = (
                    (1.0, 0.0) if usual else (float(np.exp(rng.uniform(-0.22, 0.22))), rng.uniform(-4, 4))
                )
                wave, seconds = teacher.speak(symbols, speed, semitones, number)
                soundfile.write(out / f"{name}_{number:05}.wav", wave, RATE)
                total += len(wave) / RATE if name == "train" else 0
                line: dict[str, Any] = {"path": f"{name}_{number:05}.wav", "text": words, "speed": speed}
                line |= {"semitones": semitones, "symbols": list(zip(symbols, seconds.tolist(), strict=True))}
                manifest.write(json.dumps(line, ensure_ascii=False) + "\n")
    click.echo(f"{out}: {total / 3600:.2f} hours")


def spoken(voice: str, texts: list[str], no_cmudict: bool) -> Iterator[np.ndarray]:
    """Texts in a voice; prints the processor time a second of sound takes."""
    from josielm.speech.speak import Speaker

    speaker, took, length = Speaker(voice, cmudict=not no_cmudict), 0.0, 0.0
    for text in texts:
        begun = time.process_time()
        wave = speaker.speak(text).numpy()
        took, length = took + time.process_time() - begun, length + len(wave) / speaker.sample_rate
        yield wave
    click.echo(f"real-time factor {took / length:.3f}")


def recorded(waves: list[Path], levels: int) -> Iterator[np.ndarray]:
    """Recordings, as the codec decodes so many levels of them; as they are if it is none."""
    import torch

    import josiecodec

    codec = josiecodec.load()
    for path in waves:
        wave = soundfile.read(path, dtype="float32")[0]
        if levels:
            wave = codec.decode(codec.encode(torch.from_numpy(wave), levels))[0, 0].numpy()
        yield wave


@main.command()
@click.argument("manifest", type=Path)
@click.option("--voice", help="A voice that speaks the texts; else the recordings are judged.")
@click.option("--no-cmudict", is_flag=True, help="Words by their letters.")
@click.option("--levels", default=0, help="Of the codec that recordings pass; 0 for none.")
@click.option("--whisper", default="base", show_default=True, help="Model of faster-whisper, or its folder.")
def judge(manifest: Path, voice: str | None, no_cmudict: bool, levels: int, whisper: str) -> None:
    """Words that Whisper hears otherwise, of the texts of a manifest."""
    import soxr
    from faster_whisper import WhisperModel
    from whisper_normalizer.english import EnglishTextNormalizer

    from josielm.training.letters import distance

    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    texts = [line["text"] for line in lines]
    paths = [manifest.parent / line["path"] for line in lines]
    waves = spoken(voice, texts, no_cmudict) if voice else recorded(paths, levels)
    model, normal = WhisperModel(whisper, compute_type="float32", cpu_threads=1), EnglishTextNormalizer()
    wrong = total = 0
    for text, wave in zip(texts, waves, strict=True):
        heard = model.transcribe(soxr.resample(wave, RATE, 16000), language="en", beam_size=5)[0]
        words = normal(text).split()
        wrong += distance(words, normal(" ".join(segment.text for segment in heard)).split())
        total += len(words)
    click.echo(f"{100 * wrong / total:.1f} % of {total} words")


if __name__ == "__main__":
    main()
