"""The two layouts in which Mimi's weights are published, and how their tensors become ours.

`transformers` is that of the package transformers (`config.json` and `model.safetensors` of kyutai/mimi), `kyutai`
that of Kyutai's own code (`tokenizer-e351c8d8-checkpoint125.safetensors`, without a configuration). Every tensor is
named by a rule below; one that is missing or not expected is an error. What differs beside names:

    codebooks    a sum of vectors and how many there were; ours is the one over the other
    projections  convolutions of one step, ours are linear maps
    attention    kyutai keeps queries, keys and values in one matrix, and turns channels 2i and 2i + 1 by an
                 angle where the others turn i and i + dim / 2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..audio.config import JodioConfig
from ..audio.network_configs import MimiConfig
from ..errors import ModelError
from .mimi_config import is_mimi

Layout = Literal["transformers", "kyutai"]
Convert = Callable[[list[Tensor]], list[Tensor]]
MIN_USAGE = 1e-5  # below it the division of a codebook's sum is by this


@dataclass(frozen=True)
class Rule:
    """Which of our tensors are made of which of theirs, and the other way round.

    Attributes:
        ours, theirs: names.
        read: their tensors -> ours.
        write: ours -> theirs.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    read: Convert
    write: Convert


def rules(config: JodioConfig, layout: Layout) -> list[Rule]:
    """The rules for all tensors of a Mimi.

    Raises:
        ModelError: if the model is none.
    """
    if not is_mimi(config):
        raise ModelError(f"{config.name} is no Mimi and has no place in the layout {layout!r}")
    plan: list[Rule] = []
    for side in ("encoder", "decoder"):
        plan += _seanet(side, getattr(config, side), layout)
        plan += _transformer(side, getattr(config, side), layout)
    kernel = 2 * config.encoder.final_stride  # type: ignore[union-attr]
    resampling = {"transformers": ("conv", "conv"), "kyutai": ("conv.conv.conv", "convtr.convtr.convtr")}[layout]
    plan.append(_convolution("encoder.downsample.linear.weight", f"downsample.{resampling[0]}.weight", kernel))
    plan.append(_depthwise("decoder.upsample.weight", f"upsample.{resampling[1]}.weight"))
    return plan + list(_quantizers(config, layout))


def read_layout(tensors: dict[str, Tensor], own: dict[str, Tensor], config: JodioConfig, layout: Layout) -> dict:
    """Their tensors -> ours, in fp32.

    Args:
        tensors: as in the file.
        own: the model's `state_dict`, without weight norm; for shapes.
        config: of the model.
        layout: of the file.

    Raises:
        ModelError: if a tensor is missing, not expected, or of another shape, by its name.
    """
    if layout == "kyutai":
        tensors = {_older_name(name): value for name, value in tensors.items()}
    plan = rules(config, layout)
    shapes = {name: value.to("meta") for name, value in own.items()}
    expected = {n: t for rule in plan for n, t in zip(rule.theirs, rule.write([shapes[o] for o in rule.ours]))}
    for names, what in ((set(expected) - set(tensors), "missing"), (set(tensors) - set(expected), "not expected")):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise ModelError(f"tensor {min(names)!r} is {what}{more}")
    out: dict[str, Tensor] = {}
    for name, value in expected.items():
        if value.shape != tensors[name].shape:
            raise ModelError(f"{name} is {list(tensors[name].shape)}, not {list(value.shape)}")
    for rule in plan:
        out |= zip(rule.ours, rule.read([tensors[name].float() for name in rule.theirs]))
    return out


def write_layout(own: dict[str, Tensor], config: JodioConfig, layout: Layout) -> dict[str, Tensor]:
    """Our tensors, without weight norm, -> theirs."""
    out: dict[str, Tensor] = {}
    for rule in rules(config, layout):
        out |= zip(rule.theirs, rule.write([own[name] for name in rule.ours]))
    return {name: value.contiguous() for name, value in out.items()}


def acoustic_levels(names: Iterable[str]) -> int:
    """Levels of the acoustic stack in a file of Kyutai's layout, which has no configuration."""
    return sum(name.startswith("quantizer.rvq_rest.") and name.endswith("cluster_usage") for name in names)


def _older_name(name: str) -> str:
    """Later versions of Kyutai's code save two matrices under other names."""
    return name.replace("in_projs.0.weight", "in_proj_weight").replace("out_projs.0.weight", "out_proj.weight")


def _copy(ours: str, theirs: str) -> Rule:
    return Rule((ours,), (theirs,), list, list)


def _pointwise(ours: str, theirs: str) -> Rule:
    """A linear map that is a convolution of one step there."""
    return Rule((ours,), (theirs,), lambda x: [x[0].squeeze(-1)], lambda x: [x[0].unsqueeze(-1)])


def _convolution(ours: str, theirs: str, kernel: int) -> Rule:
    """[out, in, kernel] there, [out, kernel * in] here."""

    def read(x: list[Tensor]) -> list[Tensor]:
        return [x[0].transpose(1, 2).flatten(1)]

    def write(x: list[Tensor]) -> list[Tensor]:
        return [x[0].unflatten(1, (kernel, -1)).transpose(1, 2)]

    return Rule((ours,), (theirs,), read, write)


def _transposed(ours: str, theirs: str, channels: int) -> Rule:
    """[in, out, (now, later) * stride] there, [stride * out, (before, now) * in] here."""

    def read(x: list[Tensor]) -> list[Tensor]:
        now, later = x[0].permute(2, 1, 0).flatten(0, 1).chunk(2)
        return [torch.cat([later, now], 1)]

    def write(x: list[Tensor]) -> list[Tensor]:
        before, now = x[0].chunk(2, 1)
        return [torch.cat([now, before]).unflatten(0, (-1, channels)).permute(2, 1, 0)]

    return Rule((ours,), (theirs,), read, write)


def _depthwise(ours: str, theirs: str) -> Rule:
    """[channels, 1, (now, later) * stride] there, [(before, now), stride, channels] here."""

    def read(x: list[Tensor]) -> list[Tensor]:
        return [x[0][:, 0].t().unflatten(0, (2, -1)).flip(0)]

    def write(x: list[Tensor]) -> list[Tensor]:
        return [x[0].flip(0).flatten(0, 1).t().unsqueeze(1)]

    return Rule((ours,), (theirs,), read, write)


def _seanet(side: str, config: MimiConfig, layout: Layout) -> Iterator[Rule]:
    """Convolutions of the encoder or decoder; theirs are numbered, with the activations between them."""
    stack, conv, transposed = {
        "transformers": (f"{side}.layers", "conv", "conv"),
        "kyutai": (f"{side}.model", "conv.conv", "convtr.convtr"),
    }[layout]
    down = side == "encoder"
    yield from _conv(f"{side}.input_proj", f"{stack}.0.{conv}", config.kernel)
    place = 1
    for stage in range(len(config.strides)):
        ours = f"{side}.stages.{stage}"
        if not down:
            width = config.channels * 2 ** (len(config.strides) - 1 - stage)
            theirs = f"{stack}.{place + 1}.{transposed}"
            yield _transposed(f"{ours}.resample.linear.weight", f"{theirs}.weight", width)
            yield _copy(f"{ours}.resample.step_bias", f"{theirs}.bias")
            place += 2
        for unit in range(config.residual_units):
            block = f"{stack}.{place}.block"
            yield from _conv(f"{ours}.units.{unit}.narrow", f"{block}.1.{conv}", config.residual_kernel)
            yield from _conv(f"{ours}.units.{unit}.widen", f"{block}.3.{conv}", 1)
            place += 1
        if down:
            yield from _conv(f"{ours}.resample", f"{stack}.{place + 1}.{conv}", 2 * config.strides[stage])
            place += 2
    yield from _conv(f"{side}.output_proj", f"{stack}.{place + 1}.{conv}", config.last_kernel)


def _conv(ours: str, theirs: str, kernel: int) -> Iterator[Rule]:
    yield _convolution(f"{ours}.linear.weight", f"{theirs}.weight", kernel)
    yield _copy(f"{ours}.linear.bias", f"{theirs}.bias")


def _transformer(side: str, config: MimiConfig, layout: Layout) -> Iterator[Rule]:
    """The transformer of the encoder or decoder."""
    stack, names = {
        "transformers": (
            f"{side}_transformer.layers",
            ("input_layernorm", "post_attention_layernorm", "self_attn_layer_scale", "mlp_layer_scale",
             "mlp.fc1", "mlp.fc2", "self_attn.o_proj"),
        ),
        "kyutai": (
            f"{side}_transformer.transformer.layers",
            ("norm1", "norm2", "layer_scale_1", "layer_scale_2", "linear1", "linear2", "self_attn.out_proj"),
        ),
    }[layout]  # fmt: skip
    ours = (
        "attention_norm", "mlp_norm", "attention_scale", "mlp_scale",
        "feed_forward.linear1", "feed_forward.linear2", "attention.out_proj",
    )  # fmt: skip
    parts = (("weight", "bias"),) * 2 + (("scale",),) * 2 + (("weight",),) * 3
    for layer in range(config.transformer.layers):
        mine, theirs = f"{side}.transformer.layers.{layer}", f"{stack}.{layer}"
        for own, name, kinds in zip(ours, names, parts):
            for part in kinds:
                yield _copy(f"{mine}.{own}.{part}", f"{theirs}.{name}.{part}")
        three = tuple(f"{mine}.attention.{p}_proj.weight" for p in "qkv")
        if layout == "kyutai":
            yield _merged(three, f"{theirs}.self_attn.in_proj_weight", config.transformer.heads)
        else:
            for own, p in zip(three, "qkv"):
                yield _copy(own, f"{theirs}.self_attn.{p}_proj.weight")


def _merged(ours: tuple[str, ...], theirs: str, heads: int) -> Rule:
    """Queries, keys and values in one matrix, the first two with pairs of channels side by side."""

    def read(x: list[Tensor]) -> list[Tensor]:
        q, k, v = x[0].chunk(3)
        return [*(p.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(p.shape) for p in (q, k)), v]

    def write(x: list[Tensor]) -> list[Tensor]:
        q, k = (p.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(p.shape) for p in x[:2])
        return [torch.cat([q, k, x[2]])]

    return Rule(ours, (theirs,), read, write)


def _quantizers(config: JodioConfig, layout: Layout) -> Iterator[Rule]:
    """Codebooks and the maps around them."""
    for part, levels in (("semantic", 1), ("acoustic", config.quantizer.acoustic_levels)):
        ours = {"semantic": "quantizer.semantic_vq", "acoustic": "quantizer.acoustic_rvq"}[part]
        if layout == "transformers":
            theirs, vectors = f"quantizer.{part}_residual_vector_quantizer", "layers.{}.codebook"
            names = ("embed_sum", "cluster_usage", "initialized")
        else:
            theirs = "quantizer.rvq_first" if part == "semantic" else "quantizer.rvq_rest"
            vectors, names = "vq.layers.{}._codebook", ("embedding_sum", "cluster_usage", "_initialized")
        yield _pointwise(f"{ours}.project_in.weight", f"{theirs}.input_proj.weight")
        yield _pointwise(f"{ours}.project_out.weight", f"{theirs}.output_proj.weight")
        for level in range(levels):
            own = ours if part == "semantic" else f"{ours}.quantizers.{level}"
            where = f"{theirs}.{vectors.format(level)}"
            yield Rule((f"{own}.codebook.weight",), tuple(f"{where}.{n}" for n in names), _mean, _sum_of_one)


def _mean(x: list[Tensor]) -> list[Tensor]:
    """Sums and how many vectors are in each -> codes."""
    return [x[0] / x[1].clamp_min(MIN_USAGE)[:, None]]


def _sum_of_one(x: list[Tensor]) -> list[Tensor]:
    """Codes -> sums of one vector each."""
    codes = x[0]
    return [codes, codes.new_ones(len(codes)), codes.new_ones(1)]
