"""Work in a process of its own, because decoders of other people can take a process down.

A run over many files survives that: the file is named, a new process is started, and the run goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any, BinaryIO

from ..errors import CodecError, MediaError

PATIENCE = 5.0  # seconds that a process has to clean up after itself before it is killed
_SERVE = "from josiecodec.media.apart import serve; serve()"
_pools: dict[int, ApartPool] = {}  # by the process that they belong to
_replies: BinaryIO | None = None  # in such a process: to the one that started it


class Died(MediaError):
    """The process that did the work has ended before it was done."""


class Apart:
    """A process that runs functions for this one, one after the other. It is started when it is needed first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: Callable[..., Any], *args: Any, on_note: Callable[[Any], None] | None = None) -> Any:
        """What a function of a module gives there. Its warnings are given here.

        Args:
            function, args: have to be picklable.
            on_note: is called with what the function passes to `note`.

        Raises:
            Died: if the process ends.
            CodecError: as the function, or for any other exception of it.
        """
        for note_ in self._run(function, args):
            if isinstance(note_, _Result):
                return note_.value
            if on_note is not None:
                on_note(note_)

    def stream(self, function: Callable[..., Iterator[Any]], *args: Any) -> Generator[Any, None, None]:
        """The items of a generator that runs there, which is never more than a little ahead.

        Raises:
            Died, CodecError: as `call`.
        """
        for item in self._run(_all_of, (function, *args)):
            if isinstance(item, _Result):
                return
            yield item

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Iterator[Any]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        done = False
        try:
            pickle.dump((os.getcwd(), function, args), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            while True:
                kind, value, told = pickle.load(process.stdout)
                for text in told:
                    warnings.warn(text, stacklevel=4)
                done = kind != "note"
                if kind == "error":
                    raise value
                yield _Result(value) if done else value
                if done:
                    return
        except (EOFError, BrokenPipeError, ConnectionError, pickle.UnpicklingError):
            raise Died(f"the process that read it has died ({_cause(self._ended())})") from None
        finally:
            if not done:  # it is in the middle of something
                self.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
        return self._process

    def _ended(self) -> int | None:
        """The exit code of the process, which is about to end."""
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        return self._process.poll()

    def close(self) -> None:
        """End the process; one that is at work is interrupted, so that it cleans up."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # an idle process ends by itself
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.stdout.close()
                process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, OSError):
            process.kill()
            process.wait()
        finally:
            process.stdout.close()

    def interrupt(self) -> None:
        """Have the process clean up and end, or end it, while another thread waits for what it does."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ApartPool:
    """Processes for several threads, one for each call that is under way."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[Apart] = queue.SimpleQueue()
        self._all: list[Apart] = []

    def call(self, function: Callable[..., Any], *args: Any, on_note: Callable[[Any], None] | None = None) -> Any:
        """As of `Apart`, in whichever process is idle."""
        with self._one() as apart:
            return apart.call(function, *args, on_note=on_note)

    def stream(self, function: Callable[..., Iterator[Any]], *args: Any) -> Generator[Any, None, None]:
        """As of `Apart`, in whichever process is idle."""
        with self._one() as apart:
            yield from apart.stream(function, *args)

    @contextlib.contextmanager
    def _one(self) -> Iterator[Apart]:
        try:
            apart = self._idle.get_nowait()
        except queue.Empty:
            apart = Apart()
            self._all.append(apart)
        try:
            yield apart
        finally:
            self._idle.put(apart)

    def interrupt(self) -> None:
        """End them all from another thread than those that wait for them, which are told that their process died."""
        for apart in self._all:
            apart.interrupt()

    def close(self) -> None:
        """End them all."""
        for apart in self._all:
            apart.close()

    def __enter__(self) -> ApartPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shared_pool() -> ApartPool:
    """The processes that all runs of this process share; they end with it."""
    pid = os.getpid()
    if pid not in _pools:
        _pools.clear()  # those of a process that this one was forked from
        _pools[pid] = ApartPool()
        atexit.register(_pools[pid].close)
    return _pools[pid]


class _Result:
    def __init__(self, value: Any):
        self.value = value


def note(value: Any) -> None:
    """In such a process: give something to the one that has called, before the result."""
    _reply("note", value)


def serve() -> None:
    """What such a process does: it runs the functions that come in until there are no more."""
    global _replies
    _replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print is no reply
    try:
        while True:
            folder, function, args = pickle.load(sys.stdin.buffer)
            os.chdir(folder)  # the caller may have gone elsewhere since the last call
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                try:
                    kind, value = "done", function(*args)
                except CodecError as error:
                    kind, value = "error", error
                except Exception as error:
                    text = " ".join(str(error).split())
                    kind, value = (
                        "error",
                        CodecError(f"{type(error).__name__}: {text}" if text else type(error).__name__),
                    )
            told = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
            _reply(kind, value, list(dict.fromkeys(told)))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # nobody waits for anything; what is pending has been cleaned up on the way here


def _reply(kind: str, value: Any, told: list[str] | None = None) -> None:
    assert _replies is not None
    pickle.dump((kind, value, told or []), _replies, pickle.HIGHEST_PROTOCOL)
    _replies.flush()


def _all_of(function: Callable[..., Iterator[Any]], *args: Any) -> None:
    for item in function(*args):
        note(item)


def _cause(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "it does not answer"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, out of memory?" if name == "SIGKILL" else name
