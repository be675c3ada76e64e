"""Smaller ONNX graphs that do the same: weights stored with fewer bits, where that changes nothing that is heard.

    fp16    weights that have no more bits than that are stored so, and expanded to float32 when the graph is loaded.
            Everything is computed in float32: a float16 encoder finds other codes (66 % of the first level were the
            same), a float16 decoder loses the pitch, and on a CPU both are slower.
    int8    the same of the encoder; weights of the decoder's large layers are stored in 8 bits, a scale for 32.
            Multiplying in int8 is not offered: PESQ fell from 1.78 to 1.44. With one scale for a row it was 1.70.

`Heard.check` says whether a graph still is the codec: all codes of the sample recording are equal, PESQ falls by no
more than 0.02, and as many frames are voiced, within 1 % of all. The worst of several beginnings counts, whose codes
differ: one alone can be lucky. A graph that is not is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .errors import ModelError
from .media.audio_open import SampleReader

Precision = Literal["fp32", "fp16", "int8"]
SAMPLE = Path(__file__).parent / "samples" / "speech.flac"
LEAST, LARGE = 256, 1 << 16  # numbers of a tensor that is worth it, and of a large layer
BEGINNINGS = (0, 500, 1000, 1500)  # samples that are left out of the recording
GROUP = 32  # weights of 8 bits that share a scale
BLOCKS = (".stages.", ".blocks.", ".layers.")  # what layers within the blocks of a network are called
MAX_PESQ_LOSS, MAX_UNVOICED = 0.02, 0.01
FRAME, HOP = 1200, 240  # samples of a frame of which it is told whether it is voiced, and between two of them
VOICED, QUIET = 0.5, 1e-3  # autocorrelation of voiced frames, and the level below which nothing is voiced


def store_half(path: Path) -> None:
    """Store the weights of a graph as float16 where they have no more bits, with a cast before their use."""
    _stored(path, _half)


def store_int8(path: Path) -> None:
    """Store the weights of a graph's large layers in 8 bits, all others as `store_half`."""
    _stored(path, lambda name, values: _eight(name, values) or _half(name, values))


Stored = tuple[list[Any], list[Any]]  # tensors in place of one, and nodes that make it of them


def _stored(path: Path, shrink: Callable[[str, np.ndarray], Stored | None]) -> None:
    """Write a graph with some of its float32 tensors replaced."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    graph = model.graph
    kept, nodes = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        large = values.dtype == np.float32 and values.size >= LEAST
        found = shrink(tensor.name, values) if large else None
        kept += [tensor] if found is None else found[0]
        nodes += [] if found is None else found[1]
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.save(model, path)


def _half(name: str, values: np.ndarray) -> Stored | None:
    """Values that float16 holds exactly."""
    from onnx import TensorProto, helper, numpy_helper

    half = values.astype(np.float16)
    if not np.array_equal(half.astype(np.float32), values):
        return None
    cast = helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT)
    return [numpy_helper.from_array(half, f"{name}.half")], [cast]


def _eight(name: str, values: np.ndarray) -> Stored | None:
    """Weights [out, in] of the large layers within blocks, with a scale for every `GROUP` of them."""
    from onnx import TensorProto, helper, numpy_helper

    fits = values.ndim == 2 and values.size >= LARGE and values.shape[1] % GROUP == 0
    if not fits or not any(part in name for part in BLOCKS):
        return None
    groups = values.reshape(len(values), -1, GROUP)
    scale = (np.maximum(np.abs(groups).max(2, keepdims=True), np.float32(1e-6)) / 127).astype(np.float16)
    whole = np.rint(groups / scale.astype(np.float32)).clip(-127, 127).astype(np.int8)
    tensors = {"int8": whole, "scale": scale, "shape": np.array(values.shape, np.int64)}
    nodes = [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.whole"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{name}.scale"], [f"{name}.sizes"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.whole", f"{name}.sizes"], [f"{name}.groups"]),
        helper.make_node("Reshape", [f"{name}.groups", f"{name}.shape"], [name]),
    ]
    return [numpy_helper.from_array(value, f"{name}.{part}") for part, value in tensors.items()], nodes


def sample(sample_rate: int) -> np.ndarray:
    """The recording that graphs are compared on, float32 [T]."""
    with SampleReader(SAMPLE) as reader:
        return np.concatenate(list(reader.mono_samples(sample_rate)))


@dataclass(frozen=True)
class Heard:
    """How a graph of fewer bits sounds beside the codec.

    Attributes:
        equal_codes: share of the codes that are the same.
        pesq, pesq_of_codec: PESQ-WB of both, against the recording.
        voiced, voiced_of_codec: share of the frames that are voiced.
    """

    equal_codes: float
    pesq: float
    pesq_of_codec: float
    voiced: float
    voiced_of_codec: float

    @staticmethod
    def worst(found: Sequence[Heard]) -> Heard:
        """The worst of several in every respect."""
        score = min(found, key=lambda one: one.pesq - one.pesq_of_codec)
        voices = max(found, key=lambda one: abs(one.voiced - one.voiced_of_codec))
        codes = min(one.equal_codes for one in found)
        return Heard(codes, score.pesq, score.pesq_of_codec, voices.voiced, voices.voiced_of_codec)

    def described(self) -> dict[str, Any]:
        """As it stands in `export.json`."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def check(self, precision: Precision) -> None:
        """Refuse a graph that is not the codec.

        Raises:
            ModelError: that says why.
        """
        reasons = []
        if self.equal_codes < 1:
            reasons.append(f"{1 - self.equal_codes:.2%} of the codes differ")
        if self.pesq < self.pesq_of_codec - MAX_PESQ_LOSS:
            reasons.append(f"PESQ falls from {self.pesq_of_codec:.3f} to {self.pesq:.3f}")
        if abs(self.voiced - self.voiced_of_codec) > MAX_UNVOICED:
            reasons.append(f"{self.voiced:.1%} of the frames are voiced, not {self.voiced_of_codec:.1%}")
        if reasons:
            raise ModelError(f"--precision {precision} does not do for this model: {', '.join(reasons)}")


def listen(
    wave: np.ndarray, codes: tuple[np.ndarray, np.ndarray], sounds: tuple[np.ndarray, np.ndarray], sample_rate: int
) -> Heard:
    """Compare what a graph and the codec make of a recording, the graph's first.

    Raises:
        ModelError: if the package pesq is missing.
    """
    try:
        from pesq import pesq
    except ImportError:
        raise ModelError("--precision needs the package pesq: pip install pesq") from None
    import soxr

    def score(sound: np.ndarray) -> float:
        original, decoded = (soxr.resample(x[: len(wave)], sample_rate, 16000) for x in (wave, sound))
        return float(pesq(16000, original, decoded, "wb"))

    voices = [float(voiced(sound[: len(wave)]).mean()) for sound in sounds]
    return Heard(float((codes[0] == codes[1]).mean()), score(sounds[0]), score(sounds[1]), *voices)


def voiced(x: np.ndarray) -> np.ndarray:
    """Which frames of a waveform at 24 kHz repeat themselves within 2.5 to 16 ms, bool [frames]."""
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP] * np.hanning(FRAME)
    spectra = np.abs(np.fft.rfft(frames, 2 * FRAME)) ** 2
    correlation = np.fft.irfft(spectra)[:, :400]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(FRAME), 2 * FRAME)) ** 2)[:400]
    energy = correlation[:, :1]
    normal = correlation / np.maximum(energy, 1e-12) / (window / window[0])
    found: np.ndarray = (normal[:, 60:400].max(1) > VOICED) & (energy[:, 0] / FRAME > QUIET**2)
    return found
