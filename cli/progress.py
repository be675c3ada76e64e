"""Signs of life: a bar in a terminal, and elsewhere (a log, a notebook, a batch job) a line every ten seconds."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import click

EVERY = 10.0  # seconds between lines; the variable below changes it, 0 silences them
VARIABLE = "JOSIECODEC_PROGRESS_SECONDS"


class _NoBar:
    """Where no bar is shown, and tqdm need not be imported."""

    disable = True

    def update(self, more: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Progress:
    """How far a run has come.

    Args:
        total: units of the whole run.
        unit: their name.
        quiet: show nothing.
        bar_format: of the bar, see tqdm.

    Attributes:
        done: units done.
        doing: what is being done, for the lines.
    """

    def __init__(self, total: int, unit: str, quiet: bool = False, bar_format: str | None = None):
        self.total, self.unit, self.doing = total, unit, ""
        self.done = 0.0
        self._moved: tuple[float, float] | None = None  # share done and time, when it last grew
        terminal = sys.stderr.isatty()
        self._bar: Any = _NoBar()
        if terminal and not quiet:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=unit, bar_format=bar_format)
        self._every = 0.0 if quiet or terminal else _seconds()
        self._start = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if self._every:
            # A thread of its own, since a long step (the pictures of a video) reports nothing while it lasts.
            self._thread = threading.Thread(target=self._tell, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._bar.close()

    def reach(self, done: float) -> None:
        """So many units are done; never fewer than before."""
        self.update(max(0.0, done - self.done))

    def update(self, more: float) -> None:
        """So many more units are done."""
        self.done += more
        self._bar.update(more)
        if more > 0:
            self._moved = self._share(), time.monotonic() - self._start

    def note(self, text: str) -> None:
        """Show something beside the bar."""
        if not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)

    def say(self, text: str, error: bool = False) -> None:
        """Print a line without disturbing the bar."""
        if self._bar.disable:
            click.echo(text, err=error)
        else:
            self._bar.write(text, file=sys.stderr if error else sys.stdout)

    def _tell(self) -> None:
        while not self._over.wait(self._every):
            click.echo(self.line(time.monotonic() - self._start), err=True)

    def _share(self) -> float:
        return self.done / self.total if self.total else 1.0

    def line(self, took: float) -> str:
        """What is done and the time left, after so many seconds.

        The time left follows from when more was last done: in a long step it counts down, and is not said once over.
        """
        share = self._share()
        many = f", {int(self.done)} of {self.total} {self.unit}s" if self.total > 1 else ""
        much = f"{share:.0%}" if share < 0.995 else "nearly all"  # a last step, such as writing, tells no share
        return f"{self.doing + ': ' if self.doing else ''}{much} done{many}, {span(took)} so far{self._left(took)}"

    def _left(self, took: float) -> str:
        share, then = self._moved or (0.0, 0.0)
        if not 0.005 < share < 0.995:
            return ""
        left = then / share - took
        return f", about {span(left)} left" if left >= 1 else ""


class Shares:
    """How much is done of each of several jobs, which may run side by side; called by any thread.

    Args:
        progress: of all of them, in jobs.
        names: of the jobs; the one that began last is shown.
    """

    def __init__(self, progress: Progress, names: list[str]):
        self._progress, self._names = progress, names
        self._shares = [0.0] * len(names)
        self._lock = threading.Lock()

    def __call__(self, number: int, share: float) -> None:
        with self._lock:
            if share == 0.0:
                self._progress.doing = self._names[number]
            self._shares[number] = max(self._shares[number], share)
            self._progress.reach(sum(self._shares))


def span(seconds: float) -> str:
    """A length of time for people: "40 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _seconds() -> float:
    try:
        return max(0.0, float(os.environ.get(VARIABLE, EVERY)))
    except ValueError:
        return EVERY
