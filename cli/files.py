"""`encode` and `decode`: one file, a stream, or a whole folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from .options import Path_, chosen_levels, common, use_device

Job = tuple[Path, Path]


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", default="jodio-24k", show_default=True, help="Name of a model, or its folder.")
@click.option("--n-q", type=click.IntRange(1), help="Levels to keep: more of them, better sound.")
@click.option("--kbps", type=click.FloatRange(0, min_open=True), help="Bitrate instead of --n-q.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@common
def encode(
    source: Path,
    target: Path | None,
    model: str,
    n_q: int | None,
    kbps: float | None,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Encode SOURCE, a recording of any kind, to TARGET, a .josie file.

    SOURCE may be a folder: every recording below it is encoded to the same place below TARGET.
    "-" is standard input or output. Without TARGET the file goes beside SOURCE.
    """
    import josiecodec
    from josiecodec.audio.files import AUDIO_SUFFIXES
    from josiecodec.audio.transcode import encode_file

    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    jobs = _jobs(source, target, ".josie", AUDIO_SUFFIXES | {".mp4", ".mkv", ".webm", ".mov"}, overwrite)
    codec = josiecodec.load(model, use_device(device, threads))
    levels = chosen_levels(codec, n_q, kbps)

    def work(start: Path, end: Path, progress: Callable[[float], None]) -> dict[str, Any]:
        with _output(end) as out:
            done = encode_file(codec, start if str(start) == "-" else str(start), out, levels, progress)
        rate = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
        return {
            "seconds": round(done.seconds, 3),
            "bytes": done.size,
            "kbps": round(rate, 3),
            "codes_kbps": round(codec.bitrate(levels) / 1000, 4),
            "n_q": levels,
        }

    return _run(jobs, work, as_json, "{seconds:.1f} s -> {bytes} bytes, {kbps:.2f} kbit/s")


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", help="Folder of the model, if it did not come with the package.")
@click.option("--n-q", type=click.IntRange(1), help="Use at most so many levels.")
@click.option("--sample-rate", type=click.IntRange(1000, 768000), help="Of the sound; else the model's.")
@click.option("--format", "suffix", default="wav", show_default=True, help="Kind of sound files in a folder.")
@click.option("--salvage", is_flag=True, help="Decode what is whole in a damaged file.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@common
def decode(
    source: Path,
    target: Path | None,
    model: str | None,
    n_q: int | None,
    sample_rate: int | None,
    suffix: str,
    salvage: bool,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Decode SOURCE, a .josie file, to TARGET, a sound file (WAV, FLAC, OGG, Opus, MP3, M4A ...).

    SOURCE may be a folder. "-" is standard input or output. Without TARGET the sound goes beside SOURCE.
    """
    from josiecodec.audio.transcode import decode_file
    from josiecodec.tokens.container import TokenReader

    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    jobs = _jobs(source, target, f".{suffix.lstrip('.')}", frozenset({".josie"}), overwrite)
    place = use_device(device, threads)
    models = _Models(model, place)

    def work(start: Path, end: Path, progress: Callable[[float], None]) -> dict[str, Any]:
        data: Any = sys.stdin.buffer.read() if str(start) == "-" else str(start)
        with TokenReader(data) as reader:
            codec = models.for_streams(reader.streams)
        done = decode_file(codec, data, end, n_q, sample_rate, salvage, progress)
        return {"seconds": round(done.seconds, 3), "bytes": done.size, "problems": list(done.problems)}

    return _run(jobs, work, as_json, "{seconds:.1f} s")


class _Models:
    """The models needed so far, each loaded once."""

    def __init__(self, name: str | None, device: str):
        self.name = name
        self.device = device
        self.loaded: dict[str, Any] = {}

    def for_streams(self, streams: list[Any]) -> Any:
        """The model that made the first audio stream."""
        import josiecodec
        from josiecodec.hub import find_fingerprint

        wanted = next((s for s in streams if s.kind == "audio"), streams[0])
        key = self.name or wanted.fingerprint
        if key not in self.loaded:
            folder = self.name or find_fingerprint(wanted.fingerprint, wanted.model)
            self.loaded[key] = josiecodec.load(folder, self.device)
        return self.loaded[key]


class _output:
    """The target itself, or for standard output a file in memory that is copied there at the end."""

    def __init__(self, path: Path):
        self.path = path
        self.memory: Any = None

    def __enter__(self) -> Any:
        if str(self.path) != "-":
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path
        import io

        self.memory = io.BytesIO()
        return self.memory

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.memory is not None and kind is None:
            sys.stdout.buffer.write(self.memory.getvalue())
            sys.stdout.buffer.flush()


def _jobs(source: Path, target: Path | None, suffix: str, wanted: frozenset[str], overwrite: bool) -> list[Job]:
    """What is to be made from what.

    Raises:
        click.UsageError: if there is nothing to do or something would be replaced.
    """
    if str(source) != "-" and not source.exists():
        raise click.UsageError(f"{source}: no such file or folder")
    if source.is_dir():
        out = target if target is not None else source
        found = sorted(p for p in source.rglob("*") if p.suffix.lower() in wanted and p.is_file())
        if not found:
            raise click.UsageError(f"{source}: nothing to do in this folder")
        jobs = list(_placed(found, source, out, suffix))
    else:
        if target is None:
            target = source.with_suffix(suffix)
        elif target.is_dir():
            target = target / source.with_suffix(suffix).name
        jobs = [(source, target)]
    for start, end in jobs:
        if str(end) != "-" and end.exists():
            if not overwrite:
                raise click.UsageError(f"{end} is there already; --overwrite replaces it")
            if end.resolve() == start.resolve():
                raise click.UsageError(f"{end} cannot be both read and written")
    return jobs


def _placed(found: list[Path], source: Path, out: Path, suffix: str) -> Iterator[Job]:
    """Targets below `out`; files that differ in their suffix alone keep it (a.wav.josie, a.mp3.josie)."""
    stems = [p.with_suffix("") for p in found]
    for path, stem in zip(found, stems):
        name = path.name + suffix if stems.count(stem) > 1 else path.stem + suffix
        yield path, out / path.parent.relative_to(source) / name


def _run(jobs: list[Job], work: Callable[..., dict[str, Any]], as_json: bool, shown: str) -> int:
    """Do all jobs with a progress bar; a job that fails does not stop the others. Returns the exit code."""
    from tqdm import tqdm

    from josiecodec.errors import CodecError

    piped = any(str(end) == "-" for _, end in jobs)
    quiet = piped or not sys.stderr.isatty()
    failed = 0
    with tqdm(total=len(jobs), unit="file", disable=quiet, bar_format="{l_bar}{bar}| {n:.2f}/{total}") as bar:
        for number, (start, end) in enumerate(jobs):

            def progress(share: float, number: int = number) -> None:
                bar.update(max(0.0, number + share - bar.n))

            try:
                if str(end) != "-":
                    end.parent.mkdir(parents=True, exist_ok=True)
                result = work(start, end, progress)
            except (CodecError, OSError) as error:
                if len(jobs) == 1:
                    raise CodecError(str(error)) from None
                failed += 1
                if as_json:
                    tqdm.write(json.dumps({"input": str(start), "error": str(error)}))
                else:
                    tqdm.write(f"error: {error}", file=sys.stderr)
                continue
            progress(1.0)
            if as_json:
                line = json.dumps({"input": str(start), "output": str(end), **result})
            else:
                line = f"{start} -> {end}: {shown.format(**result)}"
            tqdm.write(line, file=sys.stderr if piped else sys.stdout)
            for problem in () if as_json else result.get("problems", ()):
                tqdm.write(f"warning: {start}: {problem}", file=sys.stderr)
    return 2 if failed else 0
