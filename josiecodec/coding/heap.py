"""Memory of large pictures and long videos: what is freed goes back to the system.

The allocator of the C library on Linux keeps large pieces for later once some of their size have been freed, and these
end up scattered: a fifth more than is in use at any time.
"""

from __future__ import annotations

import ctypes
import sys

LARGE = 1 << 24  # pixels of a picture from which on this pays: it takes half as long again
_PIECE = 1 << 22  # bytes from which on a piece of memory is by itself
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt in malloc.h


def return_freed() -> None:
    """Return to the system what is freed and was kept; for long videos, from time to time."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)


def keep_small(pixels: int) -> None:
    """Make the allocator of this process, from here on, return large pieces, if a picture has so many pixels."""
    if pixels < LARGE or sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):  # another C library
        return
    library.mallopt(_MMAP_THRESHOLD, _PIECE)
    library.mallopt(_TRIM_THRESHOLD, _PIECE)
    library.malloc_trim(0)
