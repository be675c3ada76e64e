"""The graphs of the runtime without torch, `runtime/graphs`, made from the networks themselves.

    python -m josiecodec.export_runtime

What depends on the length of a recording and is no network (spectra, phases, the search for codes) is NumPy's there, so
that phases stay whole numbers and sums keep their order. Between that are graphs, each a step of a stream:

    encoder   log spectra [1, 4 F, ...], past ... -> what the quantizers compare, [1, F, ...], next ...
    decoder   vectors of the quantizers [1, F, ...], past ... -> spectra, filters and pitch, [1, 8 F, ...], next ...
    waveform, filter, envelope    the networks of the layers after the base, for their decoders
    picture_*   those of still pictures, see `export_pictures.py`

A graph file holds no weights. They are external, and bound by their names in `model.safetensors` when a graph is
opened; the JSON file beside it lists them with their shapes. All models with networks of the same shapes share a graph.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .atomic import write_bytes
from .audio.network import JodioNetwork
from .audio.spectral import SpectralDecoder, SpectralEncoder
from .export_pictures import PICTURE_BODIES, PictureBody
from .hub.store import load
from .hub.tensor_names import file_name
from .nn.linear import stable_linear
from .nn.streaming import State, run
from .runtime.graphs import GRAPHS, WEIGHTS_NAME
from .vision.network import JovioNetwork

OPSET = 20
MODEL = "jodio-24k-v3"
PICTURE_MODEL = "jovio-16-v7"
EXAMPLE_FRAMES = 3


class Body(nn.Module):
    """A network with its memory as tensors.

    Args:
        codec: of which `parts` are run.
        inputs, outputs: names.
        work: makes the outputs of the inputs on a state, which it changes.
        examples: inputs of `EXAMPLE_FRAMES` frames.
    """

    def __init__(
        self,
        codec: JodioNetwork,
        inputs: dict[str, int],
        outputs: tuple[str, ...],
        work: Callable[..., tuple[Tensor, ...]],
        examples: tuple[Tensor, ...],
    ):
        super().__init__()
        self.codec, self.inputs, self.outputs, self.examples = codec, inputs, outputs, examples
        self.work = work
        state = State()
        with torch.no_grad():
            work(*examples, state)
        names = {part: name for name, part in codec.named_modules()}
        self.parts = sorted(state, key=lambda part: names[part])
        self.names = [names[part] for part in self.parts]
        self.memory = [torch.zeros_like(state[part]).contiguous() for part in self.parts]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        count = len(self.inputs)
        state = State(dict(zip(self.parts, tensors[count:])))
        y = self.work(*tensors[:count], state)
        return *y, *(state[part] for part in self.parts)

    def free_axes(self) -> tuple[dict[int, Any] | None, ...]:
        """Which axes of the inputs have any length."""
        frames = torch.export.Dim("frames", min=1, max=1 << 16)
        return tuple({1: n * frames} if n else None for n in self.inputs.values())


def encoder_body(codec: JodioNetwork) -> Body:
    """From log spectra to what the semantic codebook and the acoustic stack compare with their codes."""
    encoder, quantizer = codec.encoder, codec.quantizer
    assert isinstance(encoder, SpectralEncoder)
    assert encoder.fine_spectrum is not None
    steps = codec.frame_size // encoder.spectrum.hop

    def work(spectra: Tensor, fine: Tensor, state: State) -> tuple[Tensor, ...]:
        y = encoder.input_proj(spectra) + encoder.fine_proj(fine)
        z = encoder.output_proj(encoder.norm(run(encoder.stages, y, state)))
        return quantizer.semantic_vq.to_code_space(z), quantizer.acoustic_rvq.enter(z)

    rows = steps * EXAMPLE_FRAMES
    examples = torch.randn(1, rows, encoder.spectrum.bins), torch.randn(1, rows, encoder.fine_proj.in_features)
    return Body(codec, {"spectra": steps, "fine": steps}, ("semantic", "acoustic"), work, examples)


def decoder_body(codec: JodioNetwork) -> Body:
    """From the sums of codes to what windows of synthesis are drawn from."""
    decoder, quantizer = codec.decoder, codec.quantizer
    assert isinstance(decoder, SpectralDecoder)
    assert decoder.source is not None
    source, semantic_vq, acoustic_rvq = decoder.source, quantizer.semantic_vq, quantizer.acoustic_rvq
    assert decoder.level_embedding is not None

    def work(semantic: Tensor, acoustic: Tensor, level: Tensor, state: State) -> tuple[Tensor, ...]:
        z = semantic_vq.project_out(semantic) + acoustic_rvq.project_out(acoustic)
        x = decoder.norm(run(decoder.stages, decoder.input_proj(z) + level, state))
        bands = source.bands
        harmonic, breath, turn, logits = source.head(x).split([bands, bands, bands, source.log_pitch.numel()], -1)
        curves = stable_linear(torch.stack([harmonic, breath, turn], 2), source.curve, None)
        return decoder.output_proj(x), curves, logits

    widths = semantic_vq.project_out.in_features, acoustic_rvq.project_out.in_features
    examples = (
        *(torch.randn(1, EXAMPLE_FRAMES, n) for n in widths),
        torch.randn(decoder.level_embedding.embedding_dim),
    )
    inputs = {"semantic": 1, "acoustic": 1, "level": 0}
    return Body(codec, inputs, ("spectrum", "curves", "pitch"), work, examples)


def waveform_body(codec: JodioNetwork) -> Body:
    """From features of the base's low band to what makes its covariances."""
    layer = codec.waveform_layer
    assert layer is not None
    part, hops = layer.covariance, layer.config.hops

    def work(features: Tensor, state: State) -> tuple[Tensor, ...]:
        hidden = run(part.variance.blocks, part.variance.input_proj(features), state)
        told = functional.gelu(part.hidden(part.norm(hidden.reshape(1, -1, part.norm.normalized_shape[0]))))
        return part.variance.told(hidden), part.parts(told), part.gain(told)

    example = torch.randn(1, hops * EXAMPLE_FRAMES, part.variance.input_proj.in_features)
    return Body(codec, {"features": hops}, ("told", "parts", "gain"), work, (example,))


def filter_body(codec: JodioNetwork) -> Body:
    """From features of decoded low bands to gains of their bins."""
    layer = codec.waveform_layer
    assert layer is not None
    part = layer.filter
    assert part is not None
    steps = layer.hop * layer.config.hops // part.config.hop

    def work(features: Tensor, share: Tensor, state: State) -> tuple[Tensor, ...]:
        hidden = run(part.blocks, part.input_proj(features) + part.level_proj(share), state)
        return (part.output_proj(part.norm(hidden)),)

    widths = part.input_proj.in_features, part.level_proj.in_features
    examples = tuple(torch.randn(1, steps * EXAMPLE_FRAMES, n) for n in widths)
    return Body(codec, {"features": steps, "share": steps}, ("gains",), work, examples)


def envelope_body(codec: JodioNetwork) -> Body:
    """From energies of the base to what is expected of the original's."""
    part = codec.envelope_layer
    assert part is not None

    def work(features: Tensor, state: State) -> tuple[Tensor, ...]:
        return (part.output_proj(part.norm(run(part.blocks, part.input_proj(features), state))),)

    example = torch.randn(1, EXAMPLE_FRAMES, part.input_proj.in_features)
    return Body(codec, {"features": 1}, ("expected",), work, (example,))


BODIES = {
    "encoder": encoder_body,
    "decoder": decoder_body,
    "waveform": waveform_body,
    "filter": filter_body,
    "envelope": envelope_body,
}


def graph_files(name: str, body: Body | PictureBody) -> dict[str, bytes]:
    """The files of a graph: ONNX without weights, and JSON that lists weights and memory."""
    import onnx

    free = body.free_axes()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells what else could be installed
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            body,
            (*body.examples, *body.memory),
            dynamic_shapes=((*free, *(None for _ in body.memory)),),
            strict=False,
        )
        made: Any = torch.onnx.export(
            program,
            input_names=[*body.inputs, *(f"past.{part}" for part in body.names)],
            output_names=[*body.outputs, *(f"next.{part}" for part in body.names)],
            opset_version=OPSET,
            optimize=False,  # the runtime does
            dynamo=True,
            verbose=False,
        )
    proto = made.model_proto
    shapes = _without_weights(proto, set(dict(body.named_parameters())))
    onnx.checker.check_model(_kept_alone(proto))
    data = proto.SerializeToString(deterministic=True)
    weights = {full: [file_name(full.removeprefix("codec.")), shape] for full, shape in sorted(shapes.items())}
    report = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "weights": weights,
        "memory": {part: list(memory.shape) for part, memory in zip(body.names, body.memory)},
    }
    return {f"{name}.onnx": data, f"{name}.json": (json.dumps(report, indent=1) + "\n").encode()}


def _without_weights(proto: Any, parameters: set[str]) -> dict[str, list[int]]:
    """Make the weights of a graph external, and take out what only people read; shapes of the weights by name."""
    import onnx

    shapes = {}
    for tensor in proto.graph.initializer:
        if tensor.name in parameters:
            shapes[tensor.name] = list(tensor.dims)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", WEIGHTS_NAME
        del tensor.metadata_props[:]
    for node in proto.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in (*proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    del proto.graph.value_info[:], proto.graph.metadata_props[:], proto.metadata_props[:]
    return shapes


def _kept_alone(proto: Any) -> Any:
    """A copy for the checker, which would look for the external file: its weights are inputs."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    outside = [t for t in copy.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in outside:
        copy.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        copy.graph.initializer.remove(tensor)
    return copy


def all_graphs(codec: JodioNetwork, pictures: JovioNetwork) -> dict[str, bytes]:
    """All files of `runtime/graphs`, by their names, for models with networks of the shapes of these."""
    files: dict[str, bytes] = {}
    for name, body in BODIES.items():
        files |= graph_files(name, body(codec))
    for name, picture_body in PICTURE_BODIES.items():
        files |= graph_files(name, picture_body(pictures))
    return files


def main(folder: Path = GRAPHS) -> None:
    """Write the files."""
    for name, data in all_graphs(load(MODEL), load(PICTURE_MODEL)).items():
        write_bytes(folder / name, data)
        print(folder / name, len(data), "bytes")


if __name__ == "__main__":
    main()
