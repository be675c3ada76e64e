"""Text to speech, sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from josiecodec.errors import CodecError, ModelError

from .adaptor import Variance
from .codes import LatentCodes
from .lexicon import Lexicon, dictionary
from .store import SHIPPED, LoadedVoice, load_voice
from .words import Piece, sentences

SPEEDS = 0.5, 2.0
SEMITONES = 6.0
CHUNK = 13  # frames that are decoded at a time: about a second


@dataclass(frozen=True)
class Sentence:
    """A sentence as it is spoken.

    Attributes:
        codes: int64 [K, F].
        words: [word, from, to] in seconds of the sentence, words as they are spoken.
        places: where in the text each of `words` comes from, characters [from, to).
    """

    codes: Tensor
    words: list[tuple[str, float, float]]
    places: list[tuple[int, int]]


class Speaker:
    """Speaks text with a voice; loaded once, used often.

        speaker = Speaker()
        wave = speaker.speak("Good morning.")            # float32 [T] at speaker.sample_rate
        for part in speaker.stream(long_text): play(part)

    Args:
        voice: a name, a folder, or a voice that was loaded.
        codec: a loaded codec; None for the one that the voice has learnt.
        cmudict: look words up in the CMU dictionary; else all are read by their letters.

    Raises:
        ModelError: if there is no such voice, or the codec is another one.
    """

    def __init__(self, voice: str | Path | LoadedVoice = SHIPPED, codec: Any = None, cmudict: bool = True):
        self.loaded = voice if isinstance(voice, LoadedVoice) else load_voice(voice)
        self.config = self.loaded.voice.config
        if codec is None:
            codec = _codec(self.config.codec, self.config.fingerprint)
        self.codec = codec
        self.latent_codes = LatentCodes(codec)
        self.latent_codes.check(self.config)
        self.lexicon = Lexicon(self.loaded.letters.read, dictionary() if cmudict else None)
        self._numbers = {symbol: i for i, symbol in enumerate(self.config.symbols)}

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        rate: int = self.codec.sample_rate
        return rate

    def sentences(self, text: str, speed: float = 1.0, pitch: float = 0.0) -> Iterator[Sentence]:
        """Sentences of a text as codes, each as soon as it is ready.

        Args:
            text: English.
            speed: 0.5 to 2; 2 is twice as fast.
            pitch: semitones higher, -6 to 6.

        Raises:
            TextError: if there is nothing to say, or characters that cannot be spoken.
            CodecError: if speed or pitch are out of range.
        """
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            raise CodecError(f"speed {speed:g} is not in {SPEEDS[0]:g}..{SPEEDS[1]:g}")
        if not -SEMITONES <= pitch <= SEMITONES:
            raise CodecError(f"pitch {pitch:g} is not in {-SEMITONES:g}..{SEMITONES:g} semitones")
        parts = sentences(text)  # all of it, so that nothing is spoken of a text that cannot be spoken to its end
        return (self._sentence(part, speed, pitch) for part in parts)

    def stream(self, text: str, speed: float = 1.0, pitch: float = 0.0) -> Iterator[Tensor]:
        """The waveform in parts, float32 [t], of about a second."""
        return self.decoded(self.sentences(text, speed, pitch))

    def decoded(self, spoken: Iterator[Sentence]) -> Iterator[Tensor]:
        """Waveforms [t] of sentences, in parts of about a second: one stream of the codec."""
        stream = self.codec.streaming()
        for sentence in spoken:
            for codes in sentence.codes.split(CHUNK, 1):
                yield stream.decode(codes[None])[0, 0]
        rest = stream.finish()[0, 0]
        if len(rest):
            yield rest

    def speak(self, text: str, speed: float = 1.0, pitch: float = 0.0) -> Tensor:
        """The waveform of a text, float32 [T] at `sample_rate`; as `sentences` says."""
        return torch.cat(list(self.stream(text, speed, pitch)))

    def _sentence(self, pieces: list[Piece], speed: float, pitch: float) -> Sentence:
        symbols, owners = self.lexicon.sentence(pieces)
        missing = sorted({symbol for symbol in symbols if symbol not in self._numbers})
        if missing:
            raise ModelError(f"the voice {self.config.name} does not know the symbol {missing[0]!r}")
        ids = torch.tensor([self._numbers[symbol] for symbol in symbols])
        latents, variance = self.loaded.voice.speak(ids, speed, pitch)
        words, places = _times(pieces, owners, variance)
        return Sentence(self.latent_codes.codes(latents), words, places)


def _codec(name: str, fingerprint: str) -> Any:
    """The codec of a voice."""
    import josiecodec

    codec = josiecodec.load(name)
    if fingerprint and codec.fingerprint != fingerprint:
        raise ModelError(f"the voice has learnt codes of another {name} ({fingerprint[:12]})")
    return codec


def _times(
    pieces: list[Piece], owners: list[int], variance: Variance
) -> tuple[list[tuple[str, float, float]], list[tuple[int, int]]]:
    """When each word is said, and where it comes from."""
    ends = variance.seconds[0].cumsum(0).tolist()
    spans: dict[int, tuple[float, float]] = {}
    for at, owner in enumerate(owners):
        begin = ends[at - 1] if at else 0.0
        if owner >= 0 and not pieces[owner].is_pause:
            spans[owner] = (spans.get(owner, (begin, 0.0))[0], ends[at])
    words = [(pieces[i].text, round(a, 3), round(b, 3)) for i, (a, b) in spans.items() if math.isfinite(b)]
    return words, [(pieces[i].start, pieces[i].end) for i in spans]
