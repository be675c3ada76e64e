"""Jobs of the command line, and what is said about them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .missing import missing
from .progress import Progress, Shares
from .side_by_side import one_by_one, side_by_side
from .targets import Plan


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


@dataclass(frozen=True)
class Manner:
    """How a run reports.

    Attributes:
        as_json: print JSON, one object a line.
        quiet: print errors and warnings alone.
        verbose: also print how long each file took.
        dry: print what would be done, and do nothing.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    dry: bool = False


def run(
    plan: Plan, work: Callable[..., dict[str, Any]], manner: Manner, isolated: bool = False, at_once: int = 1
) -> int:
    """Run all jobs with a progress bar; one that fails, however, does not stop the others. Returns the exit code.

    Args:
        plan: sources and targets.
        work: gives what JSON is to hold of a job, and under "shown" what a person is to see.
        manner: of reporting.
        isolated: if there are several jobs, run them in another process, so that a decoder that takes it down takes no
            more with it than one file; `work` has to be picklable.
        at_once: of isolated jobs, how many run side by side, each in a process of its own. They are told in order.
    """
    from josiecodec.errors import CodecError

    jobs = plan.jobs
    piped = any(str(end) == "-" for _, end in jobs)
    failed = 0
    notes: Counter[str] = Counter()
    bar_format = "{l_bar}{bar}| {n:.2f}/{total}"
    with Progress(len(jobs), "file", piped or manner.quiet, bar_format) as bar:
        reach = Shares(bar, [str(start) for start, _ in jobs])
        if isolated and at_once > 1 and len(jobs) > 1:
            outcomes = side_by_side(jobs, work, reach, min(at_once, len(jobs)))
        else:
            outcomes = one_by_one(jobs, work, reach, isolated)
        with contextlib.closing(outcomes):
            for number, ((start, end), outcome) in enumerate(zip(jobs, outcomes, strict=True)):
                result, error = outcome.result, outcome.error
                if result is None:
                    assert error is not None
                    if len(jobs) == 1:
                        if isinstance(error, (click.UsageError, BrokenPipeError)):
                            raise error
                        raise CodecError(_text(start, error)) from None
                    failed += 1
                    if manner.as_json:
                        bar.say(json.dumps({"input": str(start), "error": _text(start, error)}))
                    else:
                        bar.say(f"error: {_text(start, error)}", error=True)
                    reach(number, 1.0)
                    continue
                reach(number, 1.0)
                shown = result.pop("shown")
                if manner.verbose:
                    shown += f" in {outcome.seconds:.1f} s"
                if manner.as_json:
                    bar.say(json.dumps({"input": str(start), "output": str(end), **result}), error=piped)
                elif not manner.quiet:
                    bar.say(f"{start} -> {end}: {shown}", error=piped)
                for problem in () if manner.as_json else result.get("problems", ()):
                    notes[problem] += 1
                    if notes[problem] == 1:  # the same of a thousand files is told once, with their number at the end
                        bar.say(f"warning: {start}: {problem}", error=True)
                for message in outcome.warnings:
                    bar.say(f"warning: {message}", error=True)
        for problem, count in notes.items():
            if count > 1:
                bar.say(f"warning: {count - 1} more file{'s' * (count > 2)}: {problem}", error=True)
    return 2 if failed else 0


def announce(plan: Plan, manner: Manner) -> bool:
    """Say what is left out, and in a dry run what would be done. Returns whether there is nothing more to do."""
    if plan.skipped and not manner.quiet:
        click.echo(f"{plan.skipped} file{'s' * (plan.skipped != 1)} skipped, already there", err=True)
    if not manner.dry:
        return not plan.jobs
    for start, end in plan.jobs:
        exists = str(end) != "-" and end.exists()
        if manner.as_json:
            click.echo(json.dumps({"input": str(start), "output": str(end), "replaces": exists}))
        else:
            click.echo(f"{start} -> {end}{' (replaced)' * exists}")
    return True


def _text(start: Path, error: Exception) -> str:
    """What went wrong, in one line that names the file."""
    from josiecodec.errors import CodecError

    if isinstance(error, click.UsageError):
        return error.format_message()
    if isinstance(error, ModuleNotFoundError) and (named := missing(error)):
        return f"{start}: {named}"
    text = " ".join(str(error).split())
    if not isinstance(error, (CodecError, OSError)):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if str(start) in text or str(start) == "-" else f"{start}: {text}"
