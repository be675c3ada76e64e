"""Jobs of the command line: which file becomes which, running them one after the other, and the models they need."""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

Job = tuple[Path, Path]
Suffix = Callable[[Path], str]


class Models:
    """The models needed so far, each loaded once.

    Args:
        names: of models, or their folders, to be preferred; empty for what came with the package.
        device: where to put them.
    """

    DEFAULTS = {"audio": "jodio-24k-v3", "vision": "jovio-16"}  # noqa: RUF012

    def __init__(self, names: tuple[str, ...], device: str):
        self.device = device
        self._loaded: dict[str, Any] = {}
        self._chosen = {}
        for name in names:
            codec = self._load(name)
            self._chosen[codec.kind] = codec

    def has(self, kind: str) -> bool:
        """Whether there is a model of a kind, "audio" or "vision"."""
        from josiecodec.shipped import available

        return kind in self._chosen or self.DEFAULTS[kind] in available()

    def to_encode(self, kind: str) -> Any:
        """The model to encode "audio" or "vision" with."""
        return self._chosen.get(kind) or self._load(self.DEFAULTS[kind])

    def to_decode(self, info: Any) -> Any:
        """The model that made a stream."""
        from josiecodec.shipped import find_fingerprint

        chosen = self._chosen.get(info.kind)
        return chosen or self._load(find_fingerprint(info.fingerprint, info.model))

    def _load(self, name: str | Path) -> Any:
        import josiecodec

        key = str(name)
        if key not in self._loaded:
            self._loaded[key] = josiecodec.load(name, self.device)
        return self._loaded[key]


class Output:
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


def check_source(source: Path) -> None:
    """Make sure that there is something to read; before anything large is imported."""
    if str(source) != "-" and not source.exists():
        raise click.UsageError(f"{source}: no such file or folder")


def plan(source: Path, target: Path | None, suffix: Suffix, wanted: frozenset[str], overwrite: bool) -> list[Job]:
    """What is to be made from what; `suffix` says what kind of file a source becomes.

    Raises:
        click.UsageError: if there is nothing to do or something would be replaced.
    """
    check_source(source)
    if source.is_dir():
        out = target if target is not None else source
        if str(out) == "-":
            raise click.UsageError("a folder cannot go to standard output")
        files = _wanted_files(source, wanted)
        if not files:
            raise click.UsageError(f"{source}: no file of a supported format in this folder")
        jobs = list(_jobs_of(files, source, out, suffix))
        twice = [end for end, count in Counter(end for _, end in jobs).items() if count > 1]
        if twice:
            raise click.UsageError(f"two files of this folder would both be written to {twice[0]}")
    else:
        if target is None:
            target = source.with_suffix(suffix(source))
        elif target.is_dir():
            target = target / source.with_suffix(suffix(source)).name
        jobs = [(source, target)]
    for start, end in jobs:
        if str(end) != "-" and end.exists():
            if not overwrite:
                raise click.UsageError(f"{end} already exists; --overwrite replaces it")
            if end.resolve() == start.resolve():
                raise click.UsageError(f"{end} is both input and output")
    return jobs


def _wanted_files(folder: Path, wanted: frozenset[str]) -> list[Path]:
    """Files of a folder with one of the suffixes, or that begin like such files; others are counted for the user."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    if wanted == {".josie"}:
        return [p for p in found if p.suffix.lower() in wanted]
    from josiecodec.media.kinds import MEDIA_SUFFIXES, skipped, split_media

    files, left = split_media(found, wanted)
    message = skipped(left, "media" if wanted == MEDIA_SUFFIXES else "audio or video")
    if message:
        click.echo(f"warning: {folder}: {message}", err=True)
    return files


def _jobs_of(files: list[Path], source: Path, out: Path, suffix: Suffix) -> Iterator[Job]:
    """Sources and targets below `out`; files that differ in their suffix alone keep it (a.wav.josie, a.mp3.josie)."""
    stems = Counter(p.with_suffix("") for p in files)
    for path in files:
        name = (path.name if stems[path.with_suffix("")] > 1 else path.stem) + suffix(path)
        yield path, out / path.parent.relative_to(source) / name


def run(jobs: list[Job], work: Callable[..., dict[str, Any]], as_json: bool, isolated: bool = False) -> int:
    """Run all jobs with a progress bar; one that fails, however, does not stop the others. Returns the exit code.

    Args:
        jobs: sources and targets.
        work: gives what JSON is to hold of a job, and under "shown" what a person is to see.
        as_json: print JSON.
        isolated: if there are several jobs, run them in another process, so that a decoder that takes it down takes no
            more with it than one file; `work` has to be picklable.
    """
    from tqdm import tqdm

    from josiecodec.errors import CodecError
    from josiecodec.media.apart import Apart

    piped = any(str(end) == "-" for _, end in jobs)
    quiet = piped or not sys.stderr.isatty()
    failed = 0
    bar_format = "{l_bar}{bar}| {n:.2f}/{total}"
    with tqdm(total=len(jobs), unit="file", disable=quiet, bar_format=bar_format) as bar, Apart() as apart:
        for number, (start, end) in enumerate(jobs):

            def progress(share: float, number: int = number) -> None:
                bar.update(max(0.0, number + share - bar.n))

            try:
                if str(end) != "-":
                    end.parent.mkdir(parents=True, exist_ok=True)
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", UserWarning)
                    if isolated and len(jobs) > 1:
                        result = apart.call(_there, work, start, end, on_note=progress)
                    else:
                        result = work(start, end, progress)
            except click.Abort:
                raise
            except Exception as error:  # whatever a decoder comes up with: it is the file's
                if len(jobs) == 1:
                    if isinstance(error, (click.UsageError, BrokenPipeError)):
                        raise
                    raise CodecError(_text(start, error)) from None
                failed += 1
                if as_json:
                    tqdm.write(json.dumps({"input": str(start), "error": _text(start, error)}))
                else:
                    tqdm.write(f"error: {_text(start, error)}", file=sys.stderr)
                continue
            progress(1.0)
            shown = result.pop("shown")
            if as_json:
                line = json.dumps({"input": str(start), "output": str(end), **result})
            else:
                line = f"{start} -> {end}: {shown}"
            tqdm.write(line, file=sys.stderr if piped else sys.stdout)
            for problem in () if as_json else result.get("problems", ()):
                tqdm.write(f"warning: {start}: {problem}", file=sys.stderr)
            for message in dict.fromkeys(str(warning.message) for warning in caught):
                tqdm.write(f"warning: {message}", file=sys.stderr)
    return 2 if failed else 0


def _there(work: Callable[..., dict[str, Any]], start: Path, end: Path) -> dict[str, Any]:
    """A job in the other process."""
    from josiecodec.errors import CodecError
    from josiecodec.media.apart import note

    try:
        return work(start, end, note)
    except click.UsageError as error:
        raise CodecError(error.format_message()) from None


def _text(start: Path, error: Exception) -> str:
    """What went wrong, in one line that names the file."""
    from josiecodec.errors import CodecError

    if isinstance(error, click.UsageError):
        return error.format_message()
    text = " ".join(str(error).split())
    if not isinstance(error, (CodecError, OSError)):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if str(start) in text or str(start) == "-" else f"{start}: {text}"
