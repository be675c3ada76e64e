"""Export of sound as others load it: Parquet for the Hugging Face hub, and JSON lines for fine-tuning speech models.

hub      data/train-00000-of-00003.parquet, README.md    codes as [n_q][n_frames], a column for what is known
jsonl    00000.jsonl                                     `audio_codes` as [n_frames][n_q], `audio`, `text`
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import CodecError, FormatError
from .clips import Clip
from .export_lhotse import only_sound

ROW_GROUP = 500  # clips that readers get together
LARGE = 1 << 12  # codebooks from which dictionaries take more than they save
VOICE = "voice"  # who speaks in a clip, a list of numbers
TEXTS = ("text", "speaker", "language", "licence", "sha256")  # of clips, columns where any clip has them
CARD = "README.md"


def code_encoding(column: str, codebook_size: int) -> dict[str, Any]:
    """Settings of `ParquetWriter` for a column of codes.

    Parquet has no 16-bit numbers: uint16 is stored as 32 bits, 15.3 bits a code of speech with zstd. A dictionary makes
    it as many bits as codes have, 11.3 of 2048 with an entropy of 10.3, and takes as much as the codebook in each row
    group; of large codebooks bytes are split instead, 11.7 bits.
    """
    if codebook_size < LARGE:
        return {"use_dictionary": True, "compression": "zstd"}
    return {"use_dictionary": False, "column_encoding": {column: "BYTE_STREAM_SPLIT"}, "compression": "zstd"}


def write_jsonl(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    """A line a clip: `audio`, `text` and what else is known of it, and `audio_codes` frame by frame.

    `audio_filepath`, `offset`, `duration` and `text` make it a manifest of NeMo.
    """
    only_sound(info, "jsonl")
    with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as lines:
        for clip in clips:
            source, start = clip.meta.get("source"), clip.meta.get("start", 0.0)
            entry = {"audio": source, "audio_filepath": source, "offset": start, "text": clip.meta.get("text", "")}
            line = {**clip.meta, **entry, "audio_codes": clip.codes.tolist()}
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_hub(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    """A file of Parquet in `data`; `finish_hub` names it and writes the card."""
    only_sound(info, "hub")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise CodecError("export to the hub needs pyarrow: pip install 'josiecodec[parquet]'") from None
    fields = [("id", pa.string()), ("source", pa.string()), ("start", pa.float64()), ("duration", pa.float64())]
    fields += [(text, pa.string()) for text in TEXTS]
    fields += [("n_frames", pa.int32()), ("n_q", pa.int32()), ("frame_rate", pa.list_(pa.int32(), 2))]
    fields += [("codec", pa.string()), ("fingerprint", pa.string()), ("meta", pa.string())]
    fields += [(name, pa.list_(pa.float32()) if name == VOICE else pa.float32()) for name in info["measures"]]
    fields += [("codes", pa.list_(pa.list_(pa.uint16())))]
    schema = pa.schema(fields)
    (folder / "data").mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    path = folder / "data" / f"{name}.parquet"
    packed = code_encoding("codes.list.element.list.element", info["codebook_size"])
    with pq.ParquetWriter(path, schema, **packed) as writer:

        def flush() -> None:
            try:
                writer.write_table(pa.Table.from_pylist(rows, schema))
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise FormatError(f"shard {name}: a line of its clips does not fit the columns ({error})") from None
            rows.clear()

        for clip in clips:
            rows.append(_row(clip, info))
            if len(rows) == ROW_GROUP:
                flush()
        if rows:
            flush()


def _row(clip: Clip, info: dict[str, Any]) -> dict[str, Any]:
    known = ("id", "source", "start", "duration", "n_frames", *TEXTS, *info["measures"])
    rest = {key: value for key, value in clip.meta.items() if key not in known}
    row = {key: clip.meta.get(key) for key in ("id", "source", "start", "duration", *TEXTS, *info["measures"])}
    row |= {"n_frames": len(clip.codes), "n_q": clip.codes.shape[1], "frame_rate": list(info["frame_rate"])}
    row |= {"codec": info["codec"], "fingerprint": info["fingerprint"], "meta": json.dumps(rest, ensure_ascii=False)}
    return row | {"codes": clip.codes.T.tolist()}  # rows of Python numbers: contiguous, whatever the array was


def finish_hub(folder: Path, info: dict[str, Any], clips: int) -> None:
    """Name the files of Parquet as the hub does, and write the card that its viewer reads."""
    paths = sorted((folder / "data").glob("*.parquet")) if (folder / "data").is_dir() else []
    for number, path in enumerate(paths):
        path.rename(path.with_name(f"train-{number:05d}-of-{len(paths):05d}.parquet"))
    (folder / CARD).write_text(card(info, clips), encoding="utf-8")


def card(info: dict[str, Any], clips: int) -> str:
    """The text of a dataset card."""
    numerator, denominator = info["frame_rate"]
    rate = f"{numerator / denominator:g}"
    return f"""---
task_categories: [text-to-speech, automatic-speech-recognition]
tags: [audio-tokens, neural-codec]
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---

# Audio as tokens of {info["codec"]}

{clips} clips. `codes` is a list of {info["n_q"]} levels, the first {info["semantic_levels"]} of them semantic, each of
`n_frames` codes from 0 to {info["codebook_size"] - 1}; {rate} frames a second (`frame_rate`, a fraction), of sound at
{info["sample_rate"]} Hz. They belong to the model with the fingerprint
`{info["fingerprint"]}`, and to no other.

```python
import numpy, torch, josiecodec
from datasets import load_dataset

clip = load_dataset("ORG/NAME", split="train")[0]
codes = torch.tensor(numpy.array(clip["codes"], numpy.int64))[None]  # [1, {info["n_q"]}, n_frames]
wave = josiecodec.load("{info["codec"]}").decode(codes)
```
"""
