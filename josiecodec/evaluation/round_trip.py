"""Encoding and decoding, one codec at a time in a process of its own, for its times and memory.

The encoded bytes and the decoded audio (FLAC), image (PNG) or video (lossless Matroska) are stored; scores are computed
from these afterwards.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic import write_bytes
from ..errors import CodecError, MediaError
from .alignment import align, find_delay
from .codecs import build, supported
from .items import Item, fit_length
from .memory import peak_mb

SUFFIX = {"audio": ".flac", "image": ".png", "video": ".mkv"}  # of decoded files
MAX_DEATHS = 3  # files in a row that end the process, after which it is taken to be the codec's fault
WARM_UP = {"audio": (1.0, 0, 0), "image": (0.0, 1, 128), "video": (0.0, 4, 64)}  # seconds, pictures, pixels of a side
_codec: Any = None
_warm = False  # whether the codec has done in this process what it does once: compiling, loading


def round_trip(
    name: str, kinds: tuple[str, ...], items: list[tuple[Item, Path]], device: str, threads: int
) -> Iterator[tuple[Item, dict[str, Any]]]:
    """Encode and decode items with a codec.

    Args:
        name: of the codec, with its setting, see `codecs`.
        kinds: of media that are compared.
        items: each with the path, without suffix, of its encoded and decoded files.
        device, threads: for the codec.

    Yields:
        each item and a row with `bytes`, `payload_bytes`, `encode_s` and `decode_s` by the clock, `encode_cpu_s` and
        `decode_cpu_s` of the processor, `peak_mb` and the paths of its files,
        of audio `delay_ms`, by which what was decoded was late and has been moved; or with `error`. Items of a kind
        that the codec does not support are left out.

    Raises:
        CodecError: if the codec cannot be used here.
    """
    pool = _pool(device, threads)
    deaths = 0  # in a row
    try:
        own_kinds = pool.submit(_build, name, kinds, device).result()
        for item, target in items:
            if item.kind not in own_kinds:
                continue
            try:
                row = pool.submit(_try, item, target).result()
                deaths = 0
            except BrokenProcessPool:
                deaths += 1
                if deaths == MAX_DEATHS:
                    raise
                row = {"error": "the process died (out of memory?)"}
                pool.shutdown()
                pool = _pool(device, threads)
                pool.submit(_build, name, kinds, device).result()
            for text in row.pop("warnings", ()):
                warnings.warn(text, stacklevel=2)
            yield item, row
    except BrokenProcessPool:
        raise CodecError(f"{name}: the process died (out of memory?)") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(device: str, threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), _start, (device, threads))


def _start(device: str, threads: int) -> None:
    torch.set_num_threads(threads)


def _build(name: str, kinds: tuple[str, ...], device: str) -> list[str]:
    """Build the codec in this process; returns those of `kinds` that it supports."""
    global _codec, _warm
    _codec, _warm = build(name, kinds, device), False
    return supported(_codec, kinds)


def _try(item: Item, target: Path) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            row = _round_trip(item, target)
        except Exception as error:  # foreign codecs may raise anything; one bad file must not end the run
            row = {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}
    told = (str(warning.message) for warning in caught if issubclass(warning.category, UserWarning))
    return row | {"warnings": list(dict.fromkeys(told))}


def _round_trip(item: Item, target: Path) -> dict[str, Any]:
    target.parent.mkdir(parents=True, exist_ok=True)
    out = target.with_name(target.name + SUFFIX[item.kind])
    original, rate = item.load()
    if not original.numel():
        raise MediaError("not a single sample" if item.kind == "audio" else "not a single picture")
    _warm_up(item.kind, original, rate)
    if hasattr(_codec, "prepare"):
        _codec.prepare(original, rate)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    data = _codec.encode(original, rate)
    middle, middle_cpu = time.perf_counter(), time.process_time()
    decoded = _codec.decode(data, rate)
    end, end_cpu = time.perf_counter(), time.process_time()
    peak = peak_mb()
    if not bool(torch.isfinite(decoded).all()):
        raise CodecError("what is decoded has samples that are no finite numbers")
    stored = target.with_name(target.name + ".bin")
    write_bytes(stored, data)
    about = _size(item.kind, original, rate)
    if item.kind == "audio":
        late = find_delay(decoded, original, int(rate))
        decoded = fit_length(align(decoded, late), len(original))
        about["delay_ms"] = round(1000 * late / float(rate), 3)
    _save(item.kind, decoded, out, rate)
    return {
        **about,
        "bytes": len(data),
        "payload_bytes": _codec.payload_bytes(data) if hasattr(_codec, "payload_bytes") else len(data),
        "encode_s": round(middle - begin, 5),
        "decode_s": round(end - middle, 5),
        "encode_cpu_s": round(middle_cpu - begin_cpu, 5),
        "decode_cpu_s": round(end_cpu - middle_cpu, 5),
        "peak_mb": round(peak, 1),
        "encoded": str(stored),
        "decoded": str(out),
    }


def _warm_up(kind: str, original: Tensor, rate: int | Fraction) -> None:
    """Code a small piece of the first item, so that its times are like those of the others."""
    global _warm
    if _warm:
        return
    _warm = True
    seconds, pictures, side = WARM_UP[kind]
    piece = original[: round(seconds * rate)] if kind == "audio" else original[..., :side, :side]
    piece = piece[:, :pictures] if kind == "video" else piece
    try:
        _codec.decode(_codec.encode(piece, rate), rate)
    except Exception:  # the item itself will tell
        return


def _size(kind: str, original: Tensor, rate: int | Fraction) -> dict[str, Any]:
    """Duration of audio; width, height and number of pictures of an image or video, and its duration."""
    if kind == "audio":
        return {"seconds": round(len(original) / rate, 6)}
    height, width = original.shape[-2:]
    if kind == "image":
        return {"width": width, "height": height, "pictures": 1}
    pictures = original.shape[1]
    return {"width": width, "height": height, "pictures": pictures, "seconds": round(float(pictures / rate), 4)}


def _save(kind: str, decoded: Tensor, out: Path, rate: int | Fraction) -> None:
    if kind == "audio":
        import soundfile

        soundfile.write(out, decoded.clamp(-1, 1).numpy(), int(rate), subtype="PCM_16")
    elif kind == "image":
        from ..media.images import save_image

        save_image(decoded, out)
    else:
        from ..media.video_writer import VideoWriter

        with VideoWriter(out, (decoded.shape[-2], decoded.shape[-1]), Fraction(rate)) as writer:
            for picture in decoded.unbind(1):
                writer.write(picture)
