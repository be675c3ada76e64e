"""What a comparison needs, checked before it begins: hours of encoding must not end in a package that is missing."""

from __future__ import annotations

import difflib
import importlib.util

from ..errors import CodecError
from ..hub.store import find
from ..shipped import available, model_kind
from .codecs import AUDIO, build, known_names, split

_MODULES = {"codec2": ("pycodec2",)}


def check_packages(names: list[str], kinds: tuple[str, ...], wer: bool) -> None:
    """Make sure that the packages are there that scores and codecs need.

    Raises:
        CodecError: with what to install, if one is not.
    """
    needed = ["pesq", "pystoi"] if kinds == AUDIO else ["torchmetrics"]
    needed += ["pocketsphinx"] if wer else []
    for name in names:
        base = split(name)[0]
        needed += _MODULES.get(base, ())
        needed += ["transformers"] if base.startswith("transformers:") else []
    missing = [name for name in dict.fromkeys(needed) if importlib.util.find_spec(name) is None]
    if missing:
        raise CodecError(f"this comparison needs {', '.join(missing)}: pip install 'josiecodec[eval]'")


def check_codecs(names: list[str], kinds: tuple[str, ...]) -> None:
    """Make sure that every codec can be used, without loading models.

    Raises:
        CodecError: if one cannot, with the name that was perhaps meant.
    """
    known = known_names(kinds)
    for name in names:
        base = split(name)[0]
        if base.startswith(("hf:", "transformers:")):
            continue  # seen when its turn comes: to look means to load
        if base in known or base.startswith("python:"):
            build(name, kinds)
            continue
        wanted = "audio" if kinds == AUDIO else "vision"
        try:
            kind = model_kind(find(base))
        except CodecError as error:
            close = difflib.get_close_matches(base, [*known, *available()], 1)
            hint = f"did you mean {close[0]}?" if close else f"codecs are {', '.join(known)}"
            raise CodecError(f"{error}; {hint}") from None
        if kind not in (None, wanted):
            raise CodecError(f"{base} is a model for {kind}, not for {wanted}")
