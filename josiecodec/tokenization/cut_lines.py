"""Lines of manifests of other libraries as lines of ours: cuts of Lhotse, and what NeMo allows beside `audio_filepath`.

Lhotse is not needed for that: a cut is a JSON object.
"""

from __future__ import annotations

import os
from typing import Any

_KEY_ALIASES = {"audio_filepath": "path", "audio_filename": "path", "offset": "start", "lang": "language"}
_CUTS = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut")


def our_keys(values: dict[str, Any]) -> dict[str, Any]:
    """A line of a manifest with our names.

    Raises:
        ValueError: if it is a cut of Lhotse that is no part of a file.
    """
    if values.get("type") in _CUTS:
        try:
            return _of_cut(values)
        except (TypeError, AttributeError, KeyError):  # of values of other kinds than a cut has
            raise ValueError(f"a damaged {values['type']} of Lhotse") from None
    nemo = "audio_filepath" in values or "audio_filename" in values
    line = {_KEY_ALIASES.get(key) or key: value for key, value in values.items()}
    if nemo and isinstance(line.get("path"), str):
        line["path"] = os.path.expanduser(line["path"])
        if "text" not in line and isinstance(line.get("normalized_text"), str):
            line["text"] = line["normalized_text"]
    return line


def _of_cut(cut: dict[str, Any]) -> dict[str, Any]:
    if cut["type"] != "MonoCut":
        raise ValueError(f"a {cut['type']} of Lhotse is no part of one file; cuts must be MonoCuts")
    recording = cut.get("recording") if isinstance(cut.get("recording"), dict) else {}
    assert isinstance(recording, dict)
    sources = recording.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or sources[0].get("type") != "file":
        raise ValueError("the recording of this cut is no single file")
    if recording.get("transforms"):
        raise ValueError("this cut changes its recording (transforms), which only Lhotse can do: save the audio first")
    line = {"id": cut.get("id"), "path": sources[0].get("source")}
    if cut.get("start") or cut.get("duration") != recording.get("duration"):
        line |= {"start": cut.get("start"), "duration": cut.get("duration")}
    channels = sources[0].get("channels") or [0]
    if len(channels) > 1:
        line["channel"] = channels.index(cut.get("channel", channels[0]))
    for segment in (cut.get("supervisions") or ())[:1]:
        line |= {key: segment[key] for key in ("text", "speaker", "language") if segment.get(key)}
    custom = {key: value for key, value in (cut.get("custom") or {}).items() if not isinstance(value, dict)}
    return line | {key: value for key, value in custom.items() if key not in line}
