"""Jobs of the command line one after the other or side by side, and what has become of each."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

Job = tuple[Path, Path]
Work = Callable[..., dict[str, Any]]
Reach = Callable[[int, float], None]  # told the number of a job and how much of it is done, 0 to 1


@dataclass
class Outcome:
    """What has become of a job.

    Attributes:
        result: what the work gave, or None.
        error: why it failed, or None.
        warnings: what the user is to be told, each once.
        seconds: that it took.
    """

    result: dict[str, Any] | None = None
    error: Exception | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def one_by_one(jobs: Sequence[Job], work: Work, reach: Reach, isolated: bool) -> Generator[Outcome, None, None]:
    """Outcomes of jobs; several of them run in one other process if they are to be isolated."""
    from josiecodec.media.apart import Apart

    with Apart() as apart:
        for number, (start, end) in enumerate(jobs):

            def progress(share: float, number: int = number) -> None:
                reach(number, share)

            def once(start: Path = start, end: Path = end, progress: Any = progress) -> dict[str, Any]:
                if isolated and len(jobs) > 1:
                    return apart.call(there, work, start, end, on_note=progress)
                return work(start, end, progress)

            reach(number, 0.0)
            yield _tried(end, once)


def side_by_side(jobs: Sequence[Job], work: Work, reach: Reach, count: int) -> Generator[Outcome, None, None]:
    """Outcomes of jobs in their order, of which up to `count` run at a time, each in a process of its own.

    `reach` is called by other threads.
    """
    from concurrent.futures import ThreadPoolExecutor  # not for one file

    from josiecodec.media.apart import ApartPool

    pool = ApartPool()
    threads = ThreadPoolExecutor(count)
    try:

        def tried(number: int, start: Path, end: Path) -> Outcome:
            def once() -> dict[str, Any]:
                return pool.call(_told_there, work, start, end, on_note=lambda share: reach(number, share))

            reach(number, 0.0)
            outcome = _tried(end, once, catch=False)
            if outcome.result is not None:
                outcome.warnings = outcome.result.pop("warnings")
            return outcome

        futures = [threads.submit(tried, number, *job) for number, job in enumerate(jobs)]
        for future in futures:
            yield future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.interrupt()
        threads.shutdown()
        pool.close()


def _tried(end: Path, once: Callable[[], dict[str, Any]], catch: bool = True) -> Outcome:
    began = time.monotonic()
    try:
        if str(end) != "-":
            end.parent.mkdir(parents=True, exist_ok=True)
        if not catch:  # what catches warnings is of the whole process, and not for threads
            return Outcome(once(), seconds=time.monotonic() - began)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            result = once()
        told = list(dict.fromkeys(str(warning.message) for warning in caught))
        return Outcome(result, warnings=told, seconds=time.monotonic() - began)
    except click.Abort:
        raise
    except Exception as error:  # whatever a decoder comes up with: it is the file's
        return Outcome(error=error)


def there(work: Work, start: Path, end: Path) -> dict[str, Any]:
    """A job in another process."""
    from josiecodec.errors import CodecError
    from josiecodec.media.apart import note

    try:
        return work(start, end, note)
    except click.UsageError as error:
        raise CodecError(error.format_message()) from None


def _told_there(work: Work, start: Path, end: Path) -> dict[str, Any]:
    """A job in another process, with its warnings in the result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = there(work, start, end)
    return result | {"warnings": list(dict.fromkeys(str(warning.message) for warning in caught))}
