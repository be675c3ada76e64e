"""Short training runs of tiny models of audio."""

from __future__ import annotations

from pathlib import Path

import soundfile
import torch

from josiecodec.config import to_dict
from josiecodec.training.audio.config import TrainConfig, train_config
from josiecodec.training.audio.pitch import PitchLabels
from josiecodec.training.audio.teacher import make_teacher
from josiecodec.training.audio.trainer import AudioTrainer
from kit.audio import RATE, speechlike, tiny_config


def make_recordings(root: Path) -> Path:
    """Six recordings by three voices, one of them music, with a manifest."""
    lines = ["path\toffset_s\tduration_s\tspeaker\tlanguage\tkind\tbandwidth_hz"]
    for n in range(6):
        soundfile.write(root / f"{n}.flac", speechlike(50, seed=n)[0, 0].numpy(), RATE)
        lines.append(f"{n}.flac\t0.0\t1.9\tv{n % 3}\ten\t{'music' if n == 5 else 'speech'}\t12000")
        lines.append(f"{n}.flac\t1.92\t2.0\tv{n % 3}\ten\t{'music' if n == 5 else 'speech'}\t12000")
    (root / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return root


def config(**changes) -> TrainConfig:
    changes = {
        "steps": 12,
        "batch": 2,
        "seconds": 0.64,
        "loss": {"pesq_start": 0.5, "pesq": 0.1, "stoi": 0.5, "overlap": 2, "complex": 0.1},
        "quantization": {"continuous": 0.3, "buffer": 200, "bypass_start": 0.5, "bypass_end": 0.0},
        "optimizer": {"warmup": 2},
        "adversary": {"start": 0.7, "windows": [256], "channels": 4, "seconds": 0.2, "every": 2},
        **changes,
    }
    return train_config({**changes, "model": changes.get("model", to_dict(tiny_config()))})


def trainer(recordings, folder, settings=None, **more) -> AudioTrainer:
    settings = settings or config()
    teacher = make_teacher(recordings, settings.teacher, settings.model.frame_size, torch.device("cpu"))
    pitch = PitchLabels(torch.full((len(recordings.samples) // 240,), 120.0), 240, 960)
    return AudioTrainer(settings, recordings, folder, teacher, pitch=pitch, report=lambda _: None, **more)


def weights(t: AudioTrainer) -> dict:
    out = {f"model/{k}": v for k, v in t.model.state_dict().items()}
    out |= {f"average/{k}": v for k, v in t.average.state_dict().items()}
    return out | {f"objective/{k}": v for k, v in t.objective.state_dict().items()}
