"""Encoding and decoding, one codec at a time in a process of its own, so that times and memory are the codec's alone.

What comes out is kept: the bytes as they were written, and the decoded recording (FLAC), picture (PNG) or video
(lossless Matroska). Scores are computed from these afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from ..atomic import write_bytes
from ..errors import CodecError
from .codecs import NEEDS, build
from .items import RATE, Item, fitted
from .memory import peak_mb

SUFFIX = {"sound": ".flac", "picture": ".png", "video": ".mkv"}
_codec: Any = None


def produce(
    name: str, kinds: tuple[str, ...], items: list[tuple[Item, Path]], device: str, threads: int
) -> Iterator[tuple[Item, dict[str, Any]]]:
    """Encode and decode items with a codec.

    Args:
        name: of the codec, with its setting, see `codecs`.
        kinds: of files it is for.
        items: each with the path, without suffix, where what comes out is put.
        device, threads: for the codec.

    Yields:
        each item and a row with `bytes`, `payload_bytes`, `encode_s`, `decode_s`, `peak_mb` and where things lie, or
        with `error`; but no item of a kind that the codec does not do.

    Raises:
        CodecError: if the codec cannot be used here.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _start, (device, threads)) as pool:
        try:
            does = pool.submit(_build, name, kinds, device).result()
            for item, target in items:
                if item.kind in does:
                    yield item, pool.submit(_do, item, target).result()
        except BrokenProcessPool:
            raise CodecError(f"{name}: the process died (out of memory?)") from None


def _start(device: str, threads: int) -> None:
    torch.set_num_threads(threads)


def _build(name: str, kinds: tuple[str, ...], device: str) -> list[str]:
    """Make the codec; returns the kinds of files that it does."""
    global _codec
    _codec = build(name, kinds, device)
    return [kind for kind in kinds if hasattr(_codec, NEEDS[kind])]


def _do(item: Item, target: Path) -> dict[str, Any]:
    try:
        return _done(item, target)
    except Exception as error:  # a codec of others may raise anything; one bad file does not end the rest
        return {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}


def _done(item: Item, target: Path) -> dict[str, Any]:
    target.parent.mkdir(parents=True, exist_ok=True)
    out = target.with_name(target.name + SUFFIX[item.kind])
    per_second = None
    if item.kind == "sound":
        original: Any = item.sound()
        encode, decode = (lambda: _codec.encode(original, RATE)), (lambda data: _codec.decode(data, RATE))
        size = {"seconds": round(len(original) / RATE, 4)}
    elif item.kind == "picture":
        original = item.picture()
        encode, decode = (lambda: _codec.encode_picture(original)), _codec.decode_picture
        size = {"width": original.shape[-1], "height": original.shape[-2], "pictures": 1}
    else:
        original, per_second = item.video()
        encode, decode = (lambda: _codec.encode_video(original, per_second)), _codec.decode_video
        size = {"width": original.shape[-1], "height": original.shape[-2], "pictures": original.shape[1]}
        size["seconds"] = round(float(original.shape[1] / per_second), 4)
    begin = time.perf_counter()
    data = encode()
    middle = time.perf_counter()
    decoded = decode(data)
    end = time.perf_counter()
    peak = peak_mb()
    stored = target.with_name(target.name + ".bin")
    write_bytes(stored, data)
    _keep(item.kind, fitted(decoded, len(original)) if item.kind == "sound" else decoded, out, per_second)
    return {
        **size,
        "bytes": len(data),
        "payload_bytes": _codec.payload(data) if hasattr(_codec, "payload") else len(data),
        "encode_s": round(middle - begin, 5),
        "decode_s": round(end - middle, 5),
        "peak_mb": round(peak, 1),
        "encoded": str(stored),
        "decoded": str(out),
    }


def _keep(kind: str, decoded: torch.Tensor, out: Path, per_second: Any) -> None:
    if kind == "sound":
        import soundfile

        soundfile.write(out, decoded.clamp(-1, 1).numpy(), RATE, subtype="PCM_16")
    elif kind == "picture":
        from ..media.images import save_image

        save_image(decoded, out)
    else:
        from ..media.video_writer import VideoWriter

        with VideoWriter(out, (decoded.shape[-2], decoded.shape[-1]), per_second) as writer:
            for picture in decoded.unbind(1):
                writer.write(picture)
