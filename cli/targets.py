"""Which file becomes which: sources and targets on the command line, checked before anything is read or loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

Job = tuple[Path, Path]


@dataclass(frozen=True)
class Rules:
    """What a command makes of its sources.

    Attributes:
        suffix: what kind of file a source becomes, with the dot.
        wanted: suffixes of the files of a folder that are used; called only for folders, as it may import a lot.
        fits: whether a file with this suffix (in lower case) can be a target.
        what: the targets in words, for errors.
        overwrite, skip_existing: what happens to targets that exist; without either they are an error.
        media: whether targets are media files, whose replacement is never suggested.
    """

    suffix: Callable[[Path], str]
    wanted: Callable[[], frozenset[str]]
    fits: Callable[[str], bool]
    what: str
    overwrite: bool = False
    skip_existing: bool = False
    media: bool = False


@dataclass(frozen=True)
class Plan:
    """Jobs to be done, and how many are left out because their targets exist."""

    jobs: list[Job]
    skipped: int = 0


def make_plan(paths: tuple[str, ...], output: str | None, rules: Rules) -> Plan:
    """What is to be made from what.

    Args:
        paths: sources; the last of several is the target unless `output` is given.
        output: the target.
        rules: of the command.

    Raises:
        click.UsageError: if there is nothing to do, something would be replaced, or the target is none.
    """
    sources, target = (list(paths[:-1]), paths[-1]) if output is None and len(paths) > 1 else (list(paths), output)
    if target == "":
        raise click.UsageError("the target has no name")
    for source in sources:
        if source != "-" and not Path(source).exists():
            raise click.UsageError(f"{source}: no such file or folder")
    if target is None and "-" in sources:
        raise click.UsageError("standard input needs a TARGET")
    if len(sources) > 1 and "-" in sources:
        raise click.UsageError('"-" cannot be one of several sources')
    folder = _checked_folder(sources, target, rules)
    jobs = [job for source in sources for job in _jobs(source, target, folder, rules)]
    if not jobs:
        raise click.UsageError(f"{sources[0]}: no file of a supported format in this folder")
    twice = [end for end, count in Counter(end for _, end in jobs).items() if count > 1 and str(end) != "-"]
    if twice:
        raise click.UsageError(f"two files would both be written to {twice[0]}")
    return _without_existing(jobs, rules)


def _checked_folder(sources: list[str], target: str | None, rules: Rules) -> bool:
    """Whether the target is a folder; refuses what can be no target, so that a slip of the hand makes no mess."""
    if target is None:
        return False
    many = len(sources) > 1 or Path(sources[0]).is_dir()
    if target == "-":
        if many:
            raise click.UsageError("only one file can go to standard output")
        return False
    path = Path(target)
    folder = path.is_dir() or target.endswith(("/", "\\")) or (many and not path.suffix and not path.exists())
    if not folder and (many or not rules.fits(path.suffix.lower())):
        hint = "; -o FOLDER takes several sources" if many else "" if path.suffix else "; end it in / for a new folder"
        raise click.UsageError(f"{target} is no target: {rules.what}{hint}")
    if folder and path.exists() and not path.is_dir():
        raise click.UsageError(f"{target} is a file, not a folder")
    if not path.parent.is_dir():
        raise click.UsageError(f"{path.parent}: no such folder")
    return folder


def _jobs(source: str, target: str | None, folder: bool, rules: Rules) -> Iterator[Job]:
    """The jobs of one source."""
    start = Path(source)
    if start.is_dir() and source != "-":
        files = _wanted_files(start, rules.wanted())
        yield from _jobs_of(files, start, start if target is None else Path(target), rules.suffix)
    elif target is None:
        yield start, start.with_suffix(rules.suffix(start))
    elif not folder:
        yield start, Path(target)
    elif source == "-":
        raise click.UsageError("standard input needs the name of a file as its TARGET")
    else:
        yield start, Path(target) / start.with_suffix(rules.suffix(start)).name


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


def _jobs_of(files: list[Path], source: Path, out: Path, suffix: Callable[[Path], str]) -> Iterator[Job]:
    """Sources and targets below `out`; files that differ in their suffix alone keep it (a.wav.josie, a.mp3.josie)."""
    stems = Counter(p.with_suffix("") for p in files)
    for path in files:
        name = (path.name if stems[path.with_suffix("")] > 1 else path.stem) + suffix(path)
        yield path, out / path.parent.relative_to(source) / name


def _without_existing(jobs: list[Job], rules: Rules) -> Plan:
    left = []
    for start, end in jobs:
        if str(end) != "-" and end.exists():
            if end.is_dir():
                raise click.UsageError(f"{end} is a folder")
            if end.resolve() == start.resolve():
                raise click.UsageError(f"{end} is both input and output")
            if rules.skip_existing:
                continue
            if not rules.overwrite:
                others = "--skip-existing leaves it" if rules.media else "--skip-existing leaves it, --overwrite "
                others += "; -o gives another name" if rules.media else "replaces it"
                raise click.UsageError(f"{end} already exists; {others}")
        left.append((start, end))
    return Plan(left, len(jobs) - len(left))
