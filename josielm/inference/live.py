"""The microphone and the loudspeaker, with the package sounddevice (extra `live`)."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

from josiecodec.errors import CodecError, MediaError

from .duplex import Talk


def converse(talk: Talk, seconds: float | None = None, device: Any = None) -> None:
    """Talk until Ctrl-C, or for some seconds, with the microphone and loudspeaker or another device (`LoopBack`).

    What is said in answer to a frame is written as soon as it has been computed.

    Raises:
        CodecError: if sounddevice is not there.
        MediaError: if there is no sound device.
    """
    if device is not None:
        _talk(talk, seconds, device)
        return
    try:
        import sounddevice
    except ImportError as error:
        raise CodecError(f"--live needs the package sounddevice: pip install josiecodec[live] ({error})") from None
    except OSError as error:  # the package comes with PortAudio for macOS and Windows alone
        how = ": apt install libportaudio2, or what your distribution calls it" if sys.platform == "linux" else ""
        raise CodecError(f"--live needs the library PortAudio{how} ({error})") from None
    codec = talk.codec
    try:
        with sounddevice.Stream(
            samplerate=codec.sample_rate, blocksize=codec.frame_size, channels=1, dtype="float32"
        ) as stream:
            _talk(talk, seconds, stream)
    except KeyboardInterrupt:
        return
    except sounddevice.PortAudioError as error:
        raise MediaError(f"no usable sound device ({error})") from None


def _talk(talk: Talk, seconds: float | None, device: Any) -> None:
    codec = talk.codec
    frames = None if seconds is None else -(-round(seconds * codec.sample_rate) // codec.frame_size)
    done = 0
    while frames is None or done < frames:
        heard, _ = device.read(codec.frame_size)
        samples = torch.from_numpy(np.ascontiguousarray(heard[:, 0]))[None, None]
        said = talk.answer(samples.to(codec.device))
        device.write(said[0, 0].clamp(-1, 1).cpu().numpy()[:, None])
        done += 1
