"""Options that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from josiecodec.entropy.tables_file import Tables

Path_ = click.Path(path_type=Path)


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """--device, --threads, --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line."),
        click.option("--threads", type=click.IntRange(1), help="CPU threads to use."),
        click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ..."),
    ):
        function = option(function)
    return function


def motion_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--motion and the rates of videos with motion in datasets."""
    for option in (
        click.option("--bpp", type=float, help="Of --motion: bits per pixel that videos would take as files."),
        click.option("--kbps", type=float, help="Of --motion: kbit/s that videos would take as files."),
        click.option("--motion", is_flag=True, help="Videos with motion, one sequence of tokens each."),
    ):
        function = option(function)
    return function


def runtime_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--runtime alone."""
    return click.option(
        "--runtime",
        type=click.Choice(["auto", "torch", "onnx"]),
        envvar="JOSIECODEC_RUNTIME",
        default="auto",
        show_default=True,
        help="What runs the networks; auto takes onnxruntime for what it can do, which starts sooner.",
    )(function)


def sources_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """SOURCE... [TARGET] and -o; read by `targets.make_plan`."""
    function = click.option("-o", "--output", metavar="TARGET", help="Target file or folder; then all arguments are "
                            "sources.")(function)  # fmt: skip
    return click.argument("paths", metavar="SOURCE... [TARGET]", type=click.Path(), nargs=-1, required=True)(function)


def manner_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--overwrite, --skip-existing, --dry-run, -q, -v."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Also print how long each file took."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings alone."),
        click.option("--dry-run", "dry", is_flag=True, help="Print what would be done, and do nothing."),
        click.option("--skip-existing", is_flag=True, help="Leave out what is already there; resumes a folder."),
        click.option("--overwrite", is_flag=True, help="Replace existing files."),
    ):
        function = option(function)
    return function


def given_tables(folders: tuple[Path, ...]) -> Tables:
    """Entropy tables of models that did not come with the package, from their folders."""
    from josiecodec.entropy.tables_file import read_tables
    from josiecodec.fingerprint import of_codes
    from josiecodec.weight_files import tables_file

    return {of_codes(f): read_tables(path) for f in folders if (path := tables_file(f)).is_file()}


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--json alone."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def quiet_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """-q alone."""
    return click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings alone.")(function)


def track_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--audio-track alone."""
    return click.option(
        "--audio-track",
        type=click.IntRange(1),
        help="Track of audio to read, from 1 on; `info` lists them.  [default: the one flagged as default]",
    )(function)


def tell(entry: dict[str, Any], text: str, as_json: bool, quiet: bool = False) -> None:
    """The result of a command: as JSON, as a line for people, or not at all."""
    if as_json:
        click.echo(json.dumps(entry))
    elif not quiet:
        click.echo(text)


def use_device(device: str, threads: int | None) -> str:
    """Check that a device can be used, and set the number of threads.

    Raises:
        click.BadParameter: if it cannot.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise click.BadParameter(f"device {device!r} cannot be used ({reason})") from None
    return device


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--audio-track, --normalize, --salvage: how the sound of media files is read."""
    for option in (
        click.option("--salvage", is_flag=True, help="Encode what is left of a media file that is badly damaged."),
        click.option("--normalize", is_flag=True, help="Audio: scale the recording so that its peak is at full scale."),
        track_option,
    ):
        function = option(function)
    return function


def precision_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--precision alone."""
    return click.option(
        "--precision",
        type=click.Choice(["fp32", "fp16", "int8"]),
        default="fp32",
        show_default=True,
        help="ONNX: bits of the weights in the file; int8 is of the decoder's large layers. All is computed in fp32.",
    )(function)


def at_once_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--jobs: files side by side."""
    return click.option(
        "--jobs",
        "at_once",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Files side by side, each in a process that shares the cores; each needs its own memory.",
    )(function)


def threads_of_each(at_once: int) -> int:
    """Threads of each of several processes that share the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // at_once)


def stereo_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--stereo alone."""
    return click.option(
        "--stereo", is_flag=True, help="Audio: keep where sounds are between two channels.  [default: mono]"
    )(function)


def tune_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--tune alone."""
    return click.option(
        "--tune",
        type=click.Choice(["psnr", "ssim"]),
        help="Images and video: what bits go for, squared error or structural similarity (MS-SSIM).  [default: psnr]",
    )(function)


def effort_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--effort alone."""
    return click.option(
        "--effort",
        type=click.Choice(["fast", "default", "high"]),
        help="Images: how much is tried, quality for time.  [default: default]",
    )(function)


def mono_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--mono alone."""
    return click.option("--mono", is_flag=True, help="Audio: decode stereo as the mix of both channels.")(function)


def quality_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--psnr alone."""
    return click.option(
        "--psnr",
        type=click.FloatRange(10, 70),
        help="Quality of images, in dB, within 0.2; of video about, the same from beginning to end.",
    )(function)


class _Box(click.ParamType):
    """256 or 320x200 -> width and height."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().split("x")
        if len(sides) > 2 or not all(side.isascii() and side.isdigit() and 0 < int(side) < 1 << 20 for side in sides):
            self.fail(f"takes the longest side in pixels, like 256, or a box like 320x200, not {value!r}", param, ctx)
        return int(sides[0]), int(sides[-1])


def preview_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--size alone."""
    return click.option(
        "--size",
        type=_Box(),
        metavar="PIXELS",
        help="Images: decode a small preview, quickly; its longest side, or a box like 320x200. Of a video its first "
        "picture, to an image file.",
    )(function)


def video_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--key-seconds: where the files of videos can be entered."""
    return click.option(
        "--key-seconds",
        type=click.FloatRange(0, min_open=True),
        default=10.0,
        show_default=True,
        help="Video: seconds after which a picture that needs no other comes at the latest.",
    )(function)


def stretch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--start, --seconds: what of a recording or video is decoded."""
    for option in (
        click.option(
            "--seconds", type=click.FloatRange(0, min_open=True), help="Decode so many seconds.  [default: to the end]"
        ),
        click.option(
            "--start",
            "begin",
            type=click.FloatRange(0),
            default=0.0,
            help="Decode from so many seconds on: sound, video, or the picture of a video at that time.",
        ),
    ):
        function = option(function)
    return function
