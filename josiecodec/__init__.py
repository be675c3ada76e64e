"""Neural audio and vision codec toolkit: audio, images and video as tokens.

import josiecodec

josiecodec.encode_file("talk.wav", "talk.josie", kbps=2.5)    # any audio, image or video
josiecodec.decode_file("talk.josie", "back.wav")

codec = josiecodec.load("jodio-24k-v4")
codes = codec.encode(waveform, sample_rate=16000)    # [B, 1, T] -> [B, K, F]
waveform = codec.decode(codes)                       # at codec.sample_rate, 24 kHz
data = codec.compress(waveform, kbps=2.5)            # the bytes of a .josie file
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
    from .datasets.dataset import TokenDataset
    from .files import decode_file, decode_piece, encode_file
    from .hearing.voices import speaker_embedding
    from .hub.publish import push_to_hub
    from .hub.store import load, save_pretrained
    from .media.audio_reader import Audio, load_audio
    from .media.images import Picture, load_image, load_picture
    from .media.video_reader import load_video
    from .settings import EncoderSettings, Rate

__version__ = "0.2.0"
__all__ = [
    "Audio",
    "CodecError",
    "EncoderSettings",
    "Jodio",
    "Jovio",
    "Picture",
    "Rate",
    "TokenDataset",
    "TokenFile",
    "__version__",
    "decode_file",
    "decode_piece",
    "encode_file",
    "load",
    "load_audio",
    "load_image",
    "load_picture",
    "load_video",
    "push_to_hub",
    "save_pretrained",
    "speaker_embedding",
]

# Imported when they are asked for: a wrong argument on the command line should not wait for torch.
_MODULES = {
    "Audio": ".media.audio_reader",
    "Jodio": ".coding.jodio",
    "Jovio": ".coding.jovio",
    "Picture": ".media.images",
    "EncoderSettings": ".settings",
    "Rate": ".settings",
    "TokenFile": ".bitstream.josie_file",
    "TokenDataset": ".datasets.dataset",
    "decode_file": ".files",
    "decode_piece": ".files",
    "encode_file": ".files",
    "load": ".hub.store",
    "load_audio": ".media.audio_reader",
    "load_image": ".media.images",
    "load_picture": ".media.images",
    "load_video": ".media.video_reader",
    "push_to_hub": ".hub.publish",
    "save_pretrained": ".hub.store",
    "speaker_embedding": ".hearing.voices",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_MODULES[name], __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        text = f"josiecodec.{name} needs torch: pip install torch (its site shows the command for CPUs alone)"
        raise ModuleNotFoundError(text, name="torch") from None


def __dir__() -> list[str]:
    return sorted(__all__)
