"""What a comparison needs, checked before it begins: hours of encoding must not end in a package that is missing."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path

from ..errors import CodecError
from ..hub.remote import PREFIX, cached_kind, fetch
from ..hub.store import find
from ..shipped import available, model_kind
from . import audio_codecs
from .codecs import AUDIO, PACKAGED, build, known_names, split

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
            check_repository(base)
            continue
        if base in known or base.startswith(("python:", *PACKAGED)):
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


def check_repository(name: str) -> None:
    """Make sure that the model of a repository is here: hf:org/repo is fetched, transformers:org/repo has to be there.

    Raises:
        CodecError: if it cannot be had.
    """
    place = name.partition(":")[2]
    if Path(place).is_dir():
        return
    kind = cached_kind(f"{PREFIX}{place}")
    if name.startswith("transformers:"):
        if kind is None:
            raise CodecError(f"{name}: not in the local cache of the hub")
    elif kind not in audio_codecs.RUN_BY_TRANSFORMERS:
        fetch(name)
