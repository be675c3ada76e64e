"""Layouts of channels, as PyAV can be asked for them without harm.

A layout whose channels lie in an order of their own (8-channel CAF, AIFF and MP4 from Apple's programs, for example)
has a table in memory. PyAV (18.1) copies the layout of a frame or codec but not the table, and frees it twice: the
process ends with "free(): invalid pointer". So the second owner, the Python object, is never let go here, not even at
the end of the process.
"""

from __future__ import annotations

import ctypes
from typing import Any

# In the order of FFmpeg's own layouts.
# fmt: off
_ORDER = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
    "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR", "TTL", "TTR",
)
# fmt: on


def kept(frame: Any) -> Any:
    """The same decoded frame, which can be freed without harm from now on."""
    layout = getattr(frame, "layout", None)  # pictures have none
    if layout is not None and has_own_order(layout.name):
        _keep(layout)
    return frame


def layout_of(stream: Any) -> tuple[str, int]:
    """Name of the layout of a stream of audio, and its number of channels."""
    layout = stream.codec_context.layout
    name, channels = layout.name, layout.nb_channels
    if has_own_order(name):
        _keep(layout)
        name = in_order(layout)
    return name, channels


def _keep(thing: Any) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def has_own_order(name: str) -> bool:
    """Whether a layout of this name may have a table of its own."""
    return "channels (" in name


def in_order(layout: Any) -> str:
    """Name of the layout with the same channels in FFmpeg's order; that of the layout itself if there is none."""
    import av

    if not has_own_order(layout.name):
        return str(layout.name)
    names = [channel.name for channel in layout.channels]
    if len(set(names)) == len(names) and set(names) <= set(_ORDER):
        found = av.AudioLayout("+".join(sorted(names, key=_ORDER.index)))
        return str(found.name)
    return f"{len(names)} channels"
