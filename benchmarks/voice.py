"""Figures of the networks that hear: who speaks, and when each word is said.

    python benchmarks/voice.py speakers FOLDER [--left-out NAME ...] [--rivals] [--out speakers.json]
    python benchmarks/voice.py words FOLDER --texts TSV --times JSONL [--segments FILE] [--aligner NAME ...] [--out ..]

FOLDER has recordings and a manifest.tsv. `speakers` cuts all speech into pieces of three seconds and compares each with
each: the equal error rate, beside that of the mean and deviation of mel bands, and with --rivals of resemblyzer.
`words` aligns the texts and compares begins of words with given times. Results are in benchmarks/results/voice.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from josiecodec.hearing.mel import HOP, LogMel
from josiecodec.hearing.store import SPEAKER, load
from josiecodec.hearing.words import align_words, check_aligner
from josiecodec.training.audio.data import Recordings, load_recordings
from josiecodec.training.hearing.material import read_texts, read_times, segment_keys, word_times
from josiecodec.training.hearing.speaker import equal_error_rate

PIECE = 300 * HOP  # samples
RATE = 16000
NEAR = 0.05  # seconds


def pieces_of(recordings: Recordings, left_out: set[str]) -> tuple[list[str], torch.Tensor]:
    """Speakers and waveforms [N, 48000] of the pieces of all speech."""
    names, waves = [], []
    for segment in recordings.segments:
        if segment.kind != "speech" or segment.speaker in left_out:
            continue
        wave = recordings.waveform(segment)
        for first in range(0, len(wave) - PIECE + 1, PIECE):
            names.append(segment.speaker)
            waves.append(wave[first : first + PIECE])
    return names, torch.stack(waves)


def statistics(waves: torch.Tensor) -> torch.Tensor:
    """Mean and deviation of 80 mel bands, standardised over the pieces: the trivial rival."""
    mel = torch.cat([LogMel()(part) for part in waves.split(32)])
    found = torch.cat([mel.mean(2), mel.std(2)], 1)
    return F.normalize((found - found.mean(0)) / found.std(0), dim=1)


def ours(waves: torch.Tensor, name: str) -> torch.Tensor:
    """Embeddings of a speaker encoder."""
    encoder = load(name, "speaker")
    return torch.stack([encoder.embed(wave) for wave in waves])


def resemblyzer_of(waves: torch.Tensor) -> torch.Tensor:
    """Embeddings of resemblyzer (GE2E)."""
    import resemblyzer

    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    prepared = (resemblyzer.normalize_volume(wave.numpy(), -30, increase_only=True) for wave in waves)
    return torch.from_numpy(np.stack([encoder.embed_utterance(wave) for wave in prepared]))


def telephone(waves: torch.Tensor) -> torch.Tensor:
    """Every second piece through 300 to 3400 Hz and 20 dB above white noise: another channel."""
    spectrum = torch.fft.rfft(waves)
    hertz = torch.linspace(0, RATE / 2, spectrum.shape[-1])
    narrow = torch.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3400)), waves.shape[-1])
    hiss = torch.randn(narrow.shape, generator=torch.Generator().manual_seed(0))
    narrow = narrow + hiss * narrow.square().mean(1, keepdim=True).sqrt() * 0.1
    return torch.where(torch.arange(len(waves))[:, None] % 2 == 0, waves, narrow)


def speakers(given: argparse.Namespace) -> dict[str, Any]:
    """Equal error rates of all encoders, on pieces as they are and with another channel on every second one."""
    names, waves = pieces_of(load_recordings(given.folder, RATE), set(given.left_out))
    numbers = torch.tensor([sorted(set(names)).index(name) for name in names])
    same = torch.triu(numbers[:, None] == numbers[None], 1)
    other = torch.triu(numbers[:, None] != numbers[None], 1)
    result: dict[str, Any] = {"pieces": len(names), "voices": len(set(names)), "pairs": int(same.sum())}
    encoders = {"statistics": statistics, given.model: lambda x: ours(x, given.model)}
    encoders |= {"resemblyzer": resemblyzer_of} if given.rivals else {}
    for name, encoder in encoders.items():
        for channel, sound in (("clean", waves), ("telephone", telephone(waves))):
            began = time.process_time()
            found = encoder(sound)
            scores = found @ found.t()
            result[f"{name} {channel}"] = {
                "eer": round(equal_error_rate(scores[same], scores[other]), 4),
                "same": round(float(scores[same].mean()), 3),
                "other": round(float(scores[other].mean()), 3),
                "ms_a_piece": round(1000 * (time.process_time() - began) / len(names), 1),
            }
    return result


def words(given: argparse.Namespace) -> dict[str, Any]:
    """Errors of begins of words, in seconds, of each aligner and language."""
    recordings = load_recordings(given.folder, RATE)
    texts, times = read_texts(given.texts), read_times(given.times)
    chosen = set(given.segments.read_text().splitlines()) if given.segments else None
    result: dict[str, Any] = {}
    for name in given.aligner:
        errors: dict[str, list[float]] = {}
        began, seconds = time.process_time(), 0.0
        for key, number in segment_keys(recordings).items():
            if key not in texts or key not in times or (chosen and f"{key[0]}\t{key[1] / 100:.2f}" not in chosen):
                continue
            language = texts[key]["language"]
            check_aligner(name, [language])
            wave = recordings.waveform(recordings.segments[number]).numpy()
            try:
                found = align_words(wave, texts[key]["text"], language, name)
            except ValueError as error:
                print(f"{key}: {error}")
                continue
            known = word_times([word for word, _, _ in found], times[key], language)
            seconds += len(wave) / RATE
            group = f"{language} {key[0].partition('_')[0]}"
            for (_, begin, _), (true, _) in zip(found, known or (), strict=bool(known)):
                if true > 0:  # a word that begins with the recording has the silence before it in its given time
                    errors.setdefault(group, []).append(begin - true)
        for group, values in errors.items():
            x = np.array(values)
            result[f"{name} {group}"] = {
                "words": len(x),
                "median": round(float(np.median(np.abs(x))), 4),
                "within_50_ms": round(float(np.mean(np.abs(x) <= NEAR)), 4),
                "bias": round(float(np.median(x)), 4),
            }
        result[f"{name} speed"] = round(seconds / (time.process_time() - began), 1)
    return result


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speakers", "words"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=SPEAKER)
    parser.add_argument("--left-out", nargs="*", default=[])
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--times", type=Path)
    parser.add_argument("--segments", type=Path, help="lines of file and begin in seconds, with a tab between")
    parser.add_argument("--aligner", nargs="*", default=["whisper"])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    result = {"speakers": speakers, "words": words}[given.what](given)
    text = json.dumps(result, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
