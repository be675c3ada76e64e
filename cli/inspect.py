"""`info`: what is in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .options import Path_, track_option


@click.command()
@click.argument("files", type=Path_, nargs=-1, required=True)
@click.option("--salvage", is_flag=True, help="Describe the intact blocks of a damaged file.")
@track_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def info(files: tuple[Path, ...], salvage: bool, audio_track: int | None, as_json: bool) -> int:
    """Show the contents of FILES: of .josie files, verifying the checksum of every block, and of media files.

    Media files are decoded as a whole: lengths are those of what is there, next to what the file claims.
    """
    from josiecodec.errors import CodecError

    failed = 0
    for path in files:
        try:
            if is_media(path):
                _show_media(path, audio_track, as_json)
            else:
                _show_josie(path, salvage, as_json)
        except (CodecError, OSError) as error:
            if len(files) == 1:
                raise
            failed += 1
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
    return 2 if failed else 0


def is_media(path: Path) -> bool:
    """Whether a file is to be described as a media file: neither its name nor its first bytes say .josie."""
    return path.is_file() and path.suffix.lower() != ".josie" and not _is_josie(path)


def _is_josie(path: Path) -> bool:
    """Whether the first bytes of a file say .josie."""
    from josiecodec.bitstream.header import MAGIC

    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _show_media(path: Path, audio_track: int | None, as_json: bool) -> None:
    from josiecodec.media.describe import describe_media, media_lines

    found = describe_media(path, audio_track)
    size = path.stat().st_size
    if as_json:
        click.echo(json.dumps({"file": str(path), "bytes": size, **found}))
        return
    click.echo("\n".join([f"{path}: {size} bytes", *media_lines(found)]))
    for text in found["notes"]:
        click.echo(f"  warning: {text}", err=True)


def _show_josie(path: Path, salvage: bool, as_json: bool) -> None:
    from josiecodec.bitstream.scan import summarise
    from josiecodec.errors import FormatError

    try:
        summaries, problems = summarise(path, salvage)
    except FormatError as error:
        named = str(error) if str(path) in str(error) else f"{path}: {error}"
        raise FormatError(
            named if salvage or not _is_josie(path) else f"{named}; --salvage shows what is intact"
        ) from None
    size = path.stat().st_size
    streams = [_described(summary) for summary in summaries]
    if as_json:
        click.echo(json.dumps({"file": str(path), "bytes": size, "streams": streams, "problems": problems}))
        return
    click.echo(f"{path}: {size} bytes")
    for s in streams:
        if s["kind"] == "alpha":
            click.echo(f"  alpha: {s['alpha_bytes']} bytes")
            continue
        click.echo("\n".join(_audio(s, size) if s["kind"] == "audio" else _vision(s, size)))
        if not s.get("stereo_image"):
            click.echo(
                f"    {s['levels']} levels x {s['codebook_size']} codes, model {s['model']} {s['fingerprint'][:16]}"
            )
    for problem in problems:
        click.echo(f"  warning: {problem}", err=True)


def _audio(s: dict[str, Any], size: int) -> list[str]:
    rate = 8 * size / max(s["seconds"], 1e-9) / 1000
    if s.get("stereo_image"):
        return [f"  stereo image: {s['frames']} frames at {s['frame_rate']:g}/s, {s['codes_kbps']:.3f} kbit/s"]
    return [
        f"  audio: {s['seconds']:.3f} s, {s['length']} samples at {s['sample_rate']} Hz",
        f"    encoded from {s['original_rate']} Hz, {s['original_channels']} channel(s){_gain(s)}",
        f"    {s['frames']} frames at {s['frame_rate']:g}/s: {s['codes_kbps']:.3f} kbit/s with fixed-length codes, "
        f"{rate:.3f} kbit/s the whole file",
    ]


def _gain(s: dict[str, Any]) -> str:
    gain = f", {s['gain_db']:+d} dB while it was coded" if "gain_db" in s else ""
    return gain + (", synthetic" if s.get("synthetic") else "")


def _vision(s: dict[str, Any], size: int) -> list[str]:
    pixels = s["width"] * s["height"] * max(s["length"], 1)
    what = f"video, {s['length']} pictures at {s['pictures_per_second']:g}/s" if s["pictures_per_second"] else "image"
    what = f"grey {what}" if s.get("grey") else what
    what += " on average, with times of their own" if s.get("uneven_times") else ""
    if "keys" in s:
        return [
            f"  vision: {s['width']} x {s['height']}, {what}",
            f"    motion, {s['keys']} key picture(s), {8 * size / pixels:.4f} bits per pixel the whole file",
        ]
    detail = f"{s['detail_bytes']} bytes of detail, " if "detail_bytes" in s else ""
    detail += f"{s['screen_bytes']} bytes of patches of few colours, " if "screen_bytes" in s else ""
    return [
        f"  vision: {s['width']} x {s['height']}, {what}",
        f"    {s['mean_levels']:.2f} levels per patch, {s['skipped']:.1%} of the patches skipped, "
        f"{detail}{8 * size / pixels:.4f} bits per pixel the whole file",
    ]


def _described(summary: Any) -> dict[str, Any]:
    from josiecodec.bitstream.header import AlphaInfo, AudioInfo
    from josiecodec.bitstream.scan import available_length

    i = summary.info
    if isinstance(i, AlphaInfo):
        return {"kind": i.kind, "width": i.width, "height": i.height, "alpha_bytes": summary.alpha_bytes}
    out = {
        "kind": i.kind,
        "model": i.model,
        "fingerprint": i.fingerprint,
        "levels": i.levels,
        "codebook_size": i.codebook_size,
        "length": available_length(i, summary.units),
        f"{i.unit}s": summary.units,  # frames or rows
        "seconds": summary.seconds,
    }
    if isinstance(i, AudioInfo):
        return (
            out
            | ({"stereo_image": True} if i.image else {})
            | ({"gain_db": i.gain} if i.gain else {})
            | ({"synthetic": True} if i.synthetic else {})
            | {
                "sample_rate": i.sample_rate,
                "frame_size": i.frame_size,
                "frame_rate": i.sample_rate / i.frame_size,
                "original_rate": i.original_rate,
                "original_channels": i.original_channels,
                "codes_kbps": i.bitrate / 1000,
            }
        )
    out |= {"width": i.width, "height": i.height, "pictures_per_second": float(i.rate)}
    if summary.pictures:
        return out | {"keys": summary.keys} | ({"uneven_times": True} if summary.uneven else {})
    if i.grey:
        out |= {"grey": True}
    detail = {"detail_bytes": summary.detail_bytes} if summary.detail_bytes else {}
    detail |= {"screen_bytes": summary.screen_bytes} if summary.screen_bytes else {}
    return out | {
        "mean_levels": summary.levels / max(summary.patches, 1),
        "skipped": summary.skipped / max(summary.patches, 1),
        **detail,
    }
