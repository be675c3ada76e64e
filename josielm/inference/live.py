"""The microphone and the loudspeaker, with the package sounddevice (extra `live`)."""

from __future__ import annotations

import numpy as np
import torch

from josiecodec.errors import CodecError, MediaError

from .duplex import Talk


def converse(talk: Talk, seconds: float | None = None) -> None:
    """Talk until Ctrl-C, or for some seconds.

    Raises:
        CodecError: if sounddevice is not there.
        MediaError: if there is no sound device.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: PortAudio is missing
        raise CodecError(f"--live needs the package sounddevice: pip install josiecodec[live] ({error})") from None
    codec = talk.codec
    frames = None if seconds is None else -(-round(seconds * codec.sample_rate) // codec.frame_size)
    try:
        with sounddevice.Stream(
            samplerate=codec.sample_rate, blocksize=codec.frame_size, channels=1, dtype="float32"
        ) as device:
            done = 0
            while frames is None or done < frames:
                heard, _ = device.read(codec.frame_size)
                samples = torch.from_numpy(np.ascontiguousarray(heard[:, 0]))[None, None]
                said = talk.frame(samples.to(codec.device))
                device.write(said[0, 0].clamp(-1, 1).cpu().numpy()[:, None])
                done += 1
    except KeyboardInterrupt:
        return
    except sounddevice.PortAudioError as error:
        raise MediaError(f"no usable sound device ({error})") from None
