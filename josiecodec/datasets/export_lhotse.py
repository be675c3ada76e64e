"""Export to Lhotse (https://github.com/lhotse-speech/lhotse) as Shar, and to manifests of NeMo.

    lhotse      shar/cuts.000000.jsonl.gz, shar/codes.000000.tar   beside them dataset.json, which Shar readers would
                                                                   take for a field of cuts
    nemo        manifest.json, codes/00000/000000.pt               a line a clip, with `target_audio_codes_path`

Codes are signed, so that what pads them can be `PADDING`, -1: both libraries pad with 0, a valid code, unless told.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CodecError
from .clips import PADDING, Clip

SHAR = "shar"
CODES = "codes"  # the field of cuts
MANIFEST = "manifest.json"
_OF_SUPERVISIONS = ("text", "speaker", "language")
_OF_CUTS = ("id", "source", "start", "duration", "n_frames", "recording", "media", *_OF_SUPERVISIONS)


def signed_type(codebook_size: int) -> np.dtype[Any]:
    """The smallest signed integer that holds codes and -1."""
    return np.dtype(np.int16 if codebook_size <= 1 << 15 else np.int32)


def only_sound(info: dict[str, Any], kind: str) -> None:
    """Make sure that a dataset is of sound.

    Raises:
        CodecError: if it is not.
    """
    if info["kind"] != "audio":
        raise CodecError(f"export to {kind} is for sound alone; images and video go to parquet, webdataset or npy")


def write_lhotse(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    """One shard: cuts, and their codes [n_frames, n_q]."""
    only_sound(info, "lhotse")
    shift = float(1 / Fraction(*info["frame_rate"]))
    kind = signed_type(info["codebook_size"])
    (folder / SHAR).mkdir(exist_ok=True)
    shard = f"{int(name):06d}"
    with (
        tarfile.open(folder / SHAR / f"{CODES}.{shard}.tar", "w", format=tarfile.GNU_FORMAT) as tar,
        gzip.GzipFile(folder / SHAR / f"cuts.{shard}.jsonl.gz", "wb", mtime=0) as lines,
    ):
        for clip in clips:
            cut = cut_of(clip, shift, info)
            lines.write(json.dumps(cut, ensure_ascii=False).encode() + b"\n")
            array = io.BytesIO()
            np.save(array, np.ascontiguousarray(clip.codes).astype(kind), allow_pickle=False)
            _add(tar, f"{cut['id']}.npy", array.getvalue())
            _add(tar, f"{cut['id']}.json", json.dumps(cut["custom"][CODES]).encode() + b"\n")


def cut_of(clip: Clip, shift: float, info: dict[str, Any]) -> dict[str, Any]:
    """A clip as a MonoCut: as long as its sound if its recording is known, else as its frames.

    Args:
        clip: what to describe; `meta["recording"]`, if there is one, is a `Recording` of Lhotse.
        shift: seconds of a frame.
        info: of the dataset.
    """
    meta, frames = clip.meta, len(clip.codes)
    name, start = str(meta.get("id")), float(meta.get("start") or 0.0)
    seconds = float(meta.get("duration") or frames * shift)
    recording = meta.get("recording")
    array = {"storage_type": "shar", "storage_path": "", "storage_key": "", "shape": list(clip.codes.shape)}
    codes = {"array": array, "temporal_dim": 0, "frame_shift": shift, "start": start}
    custom = {CODES: codes, "codes_pad": PADDING, "codec": info["codec"], "fingerprint": info["fingerprint"]}
    custom |= {"source": meta.get("source"), "n_frames": frames, "seconds": seconds}
    custom |= {key: value for key, value in meta.items() if key not in _OF_CUTS}
    cut = {"id": name, "start": start, "duration": seconds, "channel": meta.get("channel") or 0, "type": "MonoCut"}
    if recording is None:  # one that lasts as long as the frames; without any, Lhotse neither validates nor cuts
        cut["duration"] = frames * shift
        rate, source = info["sample_rate"], str(meta.get("source"))
        samples = round((start + frames * shift) * rate)
        sources = [{"type": "file", "channels": [cut["channel"]], "source": source}]
        recording = {"id": source, "sources": sources, "sampling_rate": rate, "num_samples": samples}
        recording |= {"duration": samples / rate, "channel_ids": [cut["channel"]]}
    cut["recording"] = recording
    cut["supervisions"] = []
    known = {key: str(meta[key]) for key in _OF_SUPERVISIONS if meta.get(key) is not None}
    if known:
        segment = {
            "id": name,
            "recording_id": recording["id"],
            "start": 0.0,
            "duration": seconds,
            "channel": cut["channel"],
        }
        cut["supervisions"] = [segment | known]
    return cut | {"custom": custom}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def write_nemo(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    """Lines of the manifest, and codes [n_q, n_frames] as tensors, which NeMo reads from paths as they stand there."""
    only_sound(info, "nemo")
    import torch

    place = Path(CODES) / name
    (folder / place).mkdir(parents=True)
    kind = signed_type(info["codebook_size"])
    with open(folder / MANIFEST, "a", encoding="utf-8") as lines:
        for number, clip in enumerate(clips):
            file = place / f"{number:06d}.pt"
            torch.save(torch.from_numpy(np.ascontiguousarray(clip.codes.T.astype(kind))), folder / file)
            rest = {
                key: value for key, value in clip.meta.items() if key not in ("source", "start", "recording", "media")
            }
            line = {
                "audio_filepath": clip.meta.get("media") or clip.meta.get("source"),
                "offset": clip.meta.get("start") or 0.0,
                "duration": clip.meta.get("duration"),
                "text": clip.meta.get("text", ""),
                "target_audio_codes_path": str(Path(info["folder"]) / file),
            }
            if "language" in rest:
                line["lang"] = rest["language"]
            lines.write(json.dumps(rest | line, ensure_ascii=False) + "\n")
