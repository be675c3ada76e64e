"""Neural audio and vision codec toolkit: audio, images and video as tokens.

import josiecodec

codec = josiecodec.load("jodio-24k-v3")
codes = codec.encode(waveform)          # [B, 1, T] at 24 kHz -> [B, K, F]
waveform = codec.decode(codes)
data = codec.compress(waveform, rate=josiecodec.Rate(kbps=2.5))    # the bytes of a .josie file
file = josiecodec.TokenFile.read("talk.josie")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import CodecError

if TYPE_CHECKING:
    from .bitstream.josie_file import TokenFile
    from .coding.jodio import Jodio
    from .coding.jovio import Jovio
    from .hub.publish import push_to_hub
    from .hub.store import load, save_pretrained
    from .settings import EncoderSettings, Rate

__version__ = "0.1.0"
__all__ = [
    "CodecError",
    "EncoderSettings",
    "Jodio",
    "Jovio",
    "Rate",
    "TokenFile",
    "__version__",
    "load",
    "push_to_hub",
    "save_pretrained",
]

# Imported when they are asked for: a wrong argument on the command line should not wait for torch.
_MODULES = {
    "Jodio": ".coding.jodio",
    "Jovio": ".coding.jovio",
    "EncoderSettings": ".settings",
    "Rate": ".settings",
    "TokenFile": ".bitstream.josie_file",
    "load": ".hub.store",
    "push_to_hub": ".hub.publish",
    "save_pretrained": ".hub.store",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
