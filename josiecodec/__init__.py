"""Neural audio codec toolkit: sound as tokens.

import josiecodec

codec = josiecodec.load("jodio-24k")
codes = codec.encode(waveform)          # [B, 1, T] at 24 kHz -> [B, K, F]
waveform = codec.decode(codes)
file = josiecodec.TokenFile.read("talk.josie")
"""

from .audio.jodio import Jodio
from .errors import CodecError
from .hub import load, save_pretrained
from .publish import push_to_hub
from .tokens.tokenfile import TokenFile
from .vision.jovio import Jovio
from .vision.rate import Rate

__version__ = "0.1.0"
__all__ = ["CodecError", "Jodio", "Jovio", "Rate", "TokenFile", "__version__", "load", "push_to_hub", "save_pretrained"]
