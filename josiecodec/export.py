"""Codecs as graphs for other runtimes: ONNX, TorchScript and torch.export.

A codec becomes two graphs, each one step of a stream, whose memory goes in and comes out:

    encoder  audio [1, 1, F * frame_size], memory ... -> codes [1, n_q, F], memory ...
    decoder  codes [1, n_q, F], memory ...            -> audio [1, 1, F * frame_size], memory ...

F is free. A stream begins with a memory of zeros, and a whole recording is one step from there: offline and on a stream
one graph does, as in the codec itself. `export.json` beside them says names, shapes and types.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import logging
import os
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .atomic import write_bytes
from .audio.spectral import InverseSpectrum, Spectrum
from .coding.jodio import Jodio
from .errors import CodecError, ModelError
from .export_precision import BEGINNINGS, Heard, Precision, listen, sample, store_half, store_int8
from .nn.conv import pad_to_multiple
from .nn.streaming import State

Target = Literal["onnx", "torchscript", "torch.export"]
SUFFIXES = {"onnx": ".onnx", "torchscript": ".ts", "torch.export": ".pt2"}
REPORT = "export.json"
OPSET = 20
# A code between two others may fall to either side of the middle, and a source of harmonics sums up what is rounded.
MIN_EQUAL = 0.98
MAX_DIFFERENCE = 0.01
Run = Callable[..., list[Tensor]]


def export_codec(
    codec: Jodio,
    folder: str | Path,
    to: Target = "onnx",
    n_q: int | None = None,
    precision: Precision = "fp32",
) -> dict[str, Any]:
    """Write a codec's encoder and decoder to `folder`, and compare what they do with the codec.

    Args:
        codec: a causal audio codec.
        folder: made if need be.
        to: what kind of graphs.
        n_q: levels of the codes, of the base alone; None for the codec's default.
        precision: in which the weights of ONNX graphs are stored, see `export_precision.py`.

    Returns:
        what stands in `export.json`; `check` in it has the share of codes that are the codec's own and the largest
        difference of samples, in one step and in steps of a frame; with a `precision` below fp32 `heard` in it has what
        a recording sounds like.

    Raises:
        CodecError: if the codec looks ahead, or `n_q` has levels of its waveform layer.
        ModelError: if it is no audio codec, a package is missing (extra `export`), or the graphs do something else, or
            sound worse with this precision; then they are not left behind.
    """
    if precision != "fp32" and to != "onnx":
        raise CodecError(f"graphs of {to} have fp32 alone, not {precision}")
    if not isinstance(codec, Jodio):
        raise ModelError(f"{codec.config.name} is no audio codec; only these are exported")
    if not codec.config.causal:
        raise CodecError(f"{codec.config.name} looks ahead and has no steps to export")
    n_q = codec.levels(n_q) if n_q is not None else min(codec.levels(None), codec.base_levels)
    if n_q > codec.base_levels:
        raise CodecError(
            f"levels above {codec.base_levels} are those of a waveform layer, which is not exported; "
            f"n_q can be 1..{codec.base_levels}"
        )
    reference = codec if codec.device.type == "cpu" else copy.deepcopy(codec).cpu()  # the graphs run there
    plain = copy.deepcopy(codec).cpu().eval().requires_grad_(False)
    for part in plain.modules():
        if isinstance(part, Spectrum | InverseSpectrum):
            part.as_matrix()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "model": codec.config.name,
        "fingerprint": codec.fingerprint,
        "format": to,
        "sample_rate": codec.sample_rate,
        "frame_size": codec.frame_size,
        "n_q": n_q,
    }
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(dir=folder) as place, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = []
        for step in (EncoderStep(plain, n_q), DecoderStep(plain, n_q)):
            path = Path(place) / (step.name + SUFFIXES[to])
            _WRITERS[to](step, path)
            if precision != "fp32":
                (store_int8 if precision == "int8" and step.name == "decoder" else store_half)(path)
            runs.append(_READERS[to](path))
            report[step.name] = {"file": path.name, "memory": step.described()}
            made.append(path)
        check = report["check"] = compare(reference, n_q, runs[0], runs[1])
        if precision != "fp32":
            heard = _heard(reference, n_q, runs[0], runs[1])
            report |= {"precision": precision, "heard": heard.described()}
            heard.check(precision)
        far = precision != "int8" and check["largest_difference"] > MAX_DIFFERENCE  # of which `heard` decides
        if check["equal_codes"] < MIN_EQUAL or far:
            raise ModelError(f"{folder}: the graphs are not the codec: {json.dumps(check)}")
        for path in made:  # only now, so that what was there before is not lost to graphs that do not do
            os.replace(path, folder / path.name)
    write_bytes(folder / REPORT, (json.dumps(report, indent=1) + "\n").encode())
    return report


class Step(nn.Module, ABC):
    """One direction of a codec with its memory as tensors.

    Args:
        codec: not copied.
        n_q: levels.
    """

    name: str
    source: str
    target: str

    def __init__(self, codec: Jodio, n_q: int):
        super().__init__()
        self.codec, self.n_q = codec, n_q
        state = State()
        with torch.no_grad():
            self.work(self.example(1), state)
        names = {part: name for name, part in codec.named_modules()}
        self.parts = sorted(state, key=lambda part: names[part])
        self.examples = [state[part] for part in self.parts]
        self.memory_names = [
            f"{names[part]}.{i}" for part, value in zip(self.parts, self.examples) for i in range(len(_tensors(value)))
        ]

    def forward(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        state, rest = State(), list(memory)
        for part, example in zip(self.parts, self.examples):
            count = len(_tensors(example))
            state[part], rest = _rebuilt(example, rest[:count]), rest[count:]
        y = self.work(x, state)
        return y, *(tensor for part in self.parts for tensor in _tensors(state[part]))

    @abstractmethod
    def work(self, x: Tensor, state: State) -> Tensor:
        """What the step does, on a memory that it changes."""

    @abstractmethod
    def example(self, frames: int) -> Tensor:
        """Some input of so many frames."""

    def beginning(self) -> list[Tensor]:
        """The memory at the beginning of a stream."""
        return [torch.zeros_like(tensor).contiguous() for value in self.examples for tensor in _tensors(value)]

    def described(self) -> list[dict[str, Any]]:
        """Names, shapes and types of the memory."""
        return [
            {"in": f"memory.{name}", "out": f"next.{name}", "shape": list(t.shape), "type": str(t.dtype)[6:]}
            for name, t in zip(self.memory_names, self.beginning())
        ]


class EncoderStep(Step):
    """Samples -> codes."""

    name, source, target = "encoder", "audio", "codes"

    def work(self, x: Tensor, state: State) -> Tensor:
        return self.codec.encode_frames(x, self.n_q, state)

    def example(self, frames: int) -> Tensor:
        return _wave(frames * self.codec.frame_size)


class DecoderStep(Step):
    """Codes -> samples."""

    name, source, target = "decoder", "codes", "audio"

    def work(self, x: Tensor, state: State) -> Tensor:
        return self.codec.decode_frames(x, state)

    def example(self, frames: int) -> Tensor:
        return torch.zeros(1, self.n_q, frames, dtype=torch.long)


def _wave(samples: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    time = torch.arange(samples) / 24000
    voice = (2200 * time.square() + 700 * time).sin() * (9 * time).sin()
    return (0.2 * voice + 0.02 * torch.randn(samples, generator=random))[None, None]


def _tensors(value: Any) -> list[Tensor]:
    """The tensors of what a layer remembers: one, several, or the fields of a dataclass."""
    if isinstance(value, Tensor):
        return [value]
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return list(value)


def _rebuilt(example: Any, tensors: list[Tensor]) -> Any:
    """The inverse of `_tensors`, for something of the kind of `example`."""
    if isinstance(example, Tensor):
        return tensors[0]
    made: Any = type(example)
    return made(*tensors) if dataclasses.is_dataclass(example) else tuple(tensors)


def compare(codec: Jodio, n_q: int, encode: Run, decode: Run, frames: int = 25) -> dict[str, float]:
    """Codes and samples of graphs beside those of the codec, all at once and frame by frame."""
    x = _wave(frames * codec.frame_size)
    codes = codec.encode(x.to(codec.device), n_q).cpu()
    audio = codec.decode(codes.to(codec.device)).cpu()
    sizes = {"whole": frames, "stream": 1}
    equal, far = 1.0, 0.0
    for size in sizes.values():
        own_codes = _stepwise(encode, EncoderStep(codec, n_q).beginning(), x.split(size * codec.frame_size, -1))
        own_audio = _stepwise(decode, DecoderStep(codec, n_q).beginning(), codes.split(size, -1))
        equal = min(equal, float((own_codes == codes).double().mean()))
        far = max(far, float((own_audio - audio).abs().max()))
    return {"frames": frames, "equal_codes": equal, "largest_difference": far}


def _heard(codec: Jodio, n_q: int, encode: Run, decode: Run) -> Heard:
    """What graphs and codec make of a recording."""
    whole, found = sample(codec.sample_rate), []
    beginnings = EncoderStep(codec, n_q).beginning(), DecoderStep(codec, n_q).beginning()
    for first in BEGINNINGS:
        wave = whole[first:]
        x = codec.prepared(pad_to_multiple(torch.from_numpy(wave)[None, None], codec.frame_size))
        with torch.no_grad():
            codes = codec.encode_frames(x, n_q)  # graphs do not look for a constant offset either
        own, sound = _stepwise(encode, beginnings[0], (x,)), _stepwise(decode, beginnings[1], (codes,))
        pairs = (own.numpy(), codes.numpy()), (sound[0, 0].numpy(), codec.decode(codes)[0, 0].numpy())
        found.append(listen(wave, *pairs, codec.sample_rate))
    return Heard.worst(found)


def _stepwise(run: Run, memory: list[Tensor], pieces: tuple[Tensor, ...]) -> Tensor:
    parts = []
    for piece in pieces:
        y, *memory = run(piece, *memory)
        parts.append(y)
    return torch.cat(parts, -1)


# Writing and running the three kinds ------------------------------------------------------------


def _program(step: Step) -> Any:
    """The graph of torch.export, with a free number of frames."""
    frames = torch.export.Dim("frames", min=1, max=1 << 16)
    free = {2: step.codec.frame_size * frames} if step.source == "audio" else {2: frames}
    memory = step.beginning()
    inputs = (step.example(3), *memory)
    return torch.export.export(step, inputs, dynamic_shapes=(free, tuple(None for _ in memory)), strict=False)


def _write_program(step: Step, path: Path) -> None:
    torch.export.save(_program(step), path)


def _run_program(path: Path) -> Run:
    # The recorded guards exclude a single frame (sizes of 1 are special to the recorder); the graph itself does not.
    module = torch.export.load(path).module(check_guards=False)
    return lambda *inputs: list(module(*inputs))


def _write_script(step: Step, path: Path) -> None:
    torch.jit.trace(step, (step.example(3), *step.beginning()), check_trace=False).save(str(path))


def _run_script(path: Path) -> Run:
    module = torch.jit.load(str(path))
    return lambda *inputs: list(module(*inputs))


def _write_onnx(step: Step, path: Path) -> None:
    _needed("onnx", "onnxscript")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells what else could be installed
    torch.onnx.export(
        _program(step),
        f=path,
        input_names=[step.source, *(f"memory.{name}" for name in step.memory_names)],
        output_names=[step.target, *(f"next.{name}" for name in step.memory_names)],
        opset_version=OPSET,
        external_data=False,
        optimize=False,  # the runtime does
        dynamo=True,
        verbose=False,
    )


def _run_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        values = {name: value.contiguous().numpy() for name, value in zip(names, inputs)}
        return [torch.from_numpy(value) for value in session.run(None, values)]

    return run


def _needed(*packages: str) -> None:
    for package in (*packages, "onnxruntime"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise ModelError(f"ONNX needs the package {package}: pip install 'josiecodec[export]'") from None


_WRITERS = {"onnx": _write_onnx, "torchscript": _write_script, "torch.export": _write_program}
_READERS = {"onnx": _run_onnx, "torchscript": _run_script, "torch.export": _run_program}
