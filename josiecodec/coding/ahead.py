"""Work that goes on in a thread while what it has made is used."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
PIXELS, MOST = 1 << 22, 8  # of pictures that wait, and how many there are of small ones


def pictures_ahead(height: int, width: int) -> int:
    """How many pictures of a size may wait."""
    return min(max(PIXELS // (height * width), 1), MOST)


class Ahead(Generic[T]):
    """The items of an iterator, made in a thread up to so many ahead. A context, behind which the thread has ended.

    Errors of the iterator are raised where its item would have come.
    """

    def __init__(self, items: Iterable[T], count: int):
        self._items, self._count = items, count
        self._ready: deque[T] = deque()
        self._change = threading.Condition()
        self._over, self._stopped = False, False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._make, daemon=True)

    def __enter__(self) -> Ahead[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ready or self._over)
                if not self._ready:
                    break
                item = self._ready.popleft()
                self._change.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _make(self) -> None:
        try:
            for item in self._items:
                with self._change:
                    self._change.wait_for(lambda: len(self._ready) < self._count or self._stopped)
                    if self._stopped:
                        return
                    self._ready.append(item)
                    self._change.notify_all()
        except BaseException as error:  # told in the thread that wants the item
            self._error = error
        finally:
            with self._change:
                self._over = True
                self._change.notify_all()
