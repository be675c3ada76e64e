"""Mimi's configuration as the package transformers writes it <-> ours."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..audio.config import JodioConfig
from ..audio.network_configs import MimiConfig
from ..audio.presets import preset
from ..errors import ConfigError, ModelError

MODEL_TYPE = "mimi"
# Defaults of transformers, of the settings that ours has, too.
USUAL: dict[str, Any] = {
    "sampling_rate": 24000,
    "hidden_size": 512,
    "num_filters": 64,
    "num_residual_layers": 1,
    "upsampling_ratios": (8, 6, 5, 4),
    "kernel_size": 7,
    "last_kernel_size": 3,
    "residual_kernel_size": 3,
    "dilation_growth_rate": 2,
    "compress": 2,
    "codebook_size": 2048,
    "codebook_dim": 256,
    "num_quantizers": 32,
    "num_hidden_layers": 8,
    "intermediate_size": 2048,
    "num_attention_heads": 8,
    "norm_eps": 1e-5,
    "sliding_window": 250,
    "layer_scale_initial_scale": 0.01,
}
# Settings of which only one value is understood.
FIXED: dict[str, Any] = {
    "audio_channels": 1,
    "use_causal_conv": True,
    "pad_mode": "constant",
    "use_conv_shortcut": False,
    "trim_right_ratio": 1.0,
    "num_semantic_quantizers": 1,
    "hidden_act": "gelu",
    "attention_bias": False,
}


def is_mimi(config: JodioConfig) -> bool:
    """Whether a model is built as Mimi is in all its parts."""
    q = config.quantizer
    parts = isinstance(config.encoder, MimiConfig) and config.encoder == config.decoder
    around = config.encoder_transformer is None and config.decoder_transformer is None
    plain = q.mode == "mimi" and 0 < q.dim != config.latent_dim and not q.code_dim and not q.normalize
    return parts and around and plain


def read_mimi_config(values: dict[str, Any]) -> JodioConfig:
    """The `config.json` of a Mimi of transformers -> our configuration.

    Raises:
        ModelError: if it says what this Mimi cannot be.
    """
    get = {name: _setting(name, values.get(name), usual) for name, usual in USUAL.items()}
    wrong = [(name, values[name], only) for name, only in FIXED.items() if name in values and values[name] != only]
    width, heads = get["hidden_size"], get["num_attention_heads"]
    follows = {
        "upsample_groups": (512, width),
        "num_key_value_heads": (8, heads),
        "head_dim": (None, width // heads if heads else None),
        "vector_quantization_hidden_dimension": (256, get["codebook_dim"]),
    }
    for name, (usual, only) in follows.items():
        value = values.get(name, usual)
        if value is not None and value != only:
            wrong.append((name, value, only))
    if "sliding_window" in values and values["sliding_window"] is None:
        wrong.append(("sliding_window", None, "a number of steps"))
    if wrong:
        raise ModelError("{} = {!r}: only {!r} is supported".format(*wrong[0]))
    rope = values.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise ModelError(f"rope_parameters = {rope!r}: a table of settings is expected")
    if rope.get("rope_type", "default") != "default":
        raise ModelError(f"rotary positions of kind {rope['rope_type']!r} are not supported")
    theta = rope.get("rope_theta") or values.get("rope_theta") or 10000.0
    try:
        return _config(get, float(theta))
    except (ConfigError, TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(f"these settings make no Mimi ({error})") from None


def _setting(name: str, value: Any, usual: Any) -> Any:
    """A value of a file, or what is usual for none; of the kind of the usual one."""
    if value is None:
        return usual
    if isinstance(usual, tuple):
        good = isinstance(value, list | tuple) and all(type(v) is int for v in value)
    else:
        good = type(value) is int or (type(value) is float and isinstance(usual, float))
    if not good:
        raise ModelError(f"{name} = {value!r}: a value like {usual!r} is expected")
    return value


def _config(get: dict[str, Any], theta: float) -> JodioConfig:
    base = preset("mimi")
    transformer = dataclasses.replace(
        MimiConfig().transformer,
        dim=get["hidden_size"],
        layers=get["num_hidden_layers"],
        heads=get["num_attention_heads"],
        hidden=get["intermediate_size"],
        context=get["sliding_window"],
        theta=theta,
        eps=get["norm_eps"],
        layer_scale=get["layer_scale_initial_scale"],
    )
    part = MimiConfig(
        channels=get["num_filters"],
        strides=tuple(get["upsampling_ratios"][::-1]),
        kernel=get["kernel_size"],
        last_kernel=get["last_kernel_size"],
        residual_kernel=get["residual_kernel_size"],
        residual_units=get["num_residual_layers"],
        dilation_base=get["dilation_growth_rate"],
        compress=get["compress"],
        transformer=transformer,
    )
    quantizer = dataclasses.replace(
        base.quantizer,
        acoustic_levels=get["num_quantizers"] - 1,
        codebook_size=get["codebook_size"],
        dim=get["codebook_dim"],
    )
    config = JodioConfig(
        name=base.name,
        sample_rate=get["sampling_rate"],
        latent_dim=get["hidden_size"],
        encoding=dataclasses.replace(base.encoding, n_q=min(base.encoding.n_q, get["num_quantizers"])),
        encoder=part,
        decoder=part,
        quantizer=quantizer,
    )
    if not is_mimi(config):
        raise ConfigError("codebook_dim must differ from hidden_size")
    return config


def write_mimi_config(config: JodioConfig) -> dict[str, Any]:
    """Our configuration of a Mimi -> the values of transformers' `config.json`.

    Raises:
        ModelError: if the model is no Mimi, or one that transformers cannot describe.
    """
    part = config.encoder
    if not is_mimi(config) or not isinstance(part, MimiConfig):
        raise ModelError(f"{config.name} is no Mimi and cannot be written as one of transformers")
    t = part.transformer
    values = FIXED | {
        "architectures": ["MimiModel"],
        "model_type": MODEL_TYPE,
        "sampling_rate": config.sample_rate,
        "frame_rate": config.sample_rate / part.frame_size,
        "hidden_size": config.latent_dim,
        "num_filters": part.channels,
        "num_residual_layers": part.residual_units,
        "upsampling_ratios": list(part.strides[::-1]),
        "kernel_size": part.kernel,
        "last_kernel_size": part.last_kernel,
        "residual_kernel_size": part.residual_kernel,
        "dilation_growth_rate": part.dilation_base,
        "compress": part.compress,
        "codebook_size": config.quantizer.codebook_size,
        "codebook_dim": config.quantizer.dim,
        "vector_quantization_hidden_dimension": config.quantizer.dim,
        "num_quantizers": config.n_q,
        "upsample_groups": config.latent_dim,
        "num_hidden_layers": t.layers,
        "intermediate_size": t.hidden,
        "num_attention_heads": t.heads,
        "num_key_value_heads": t.heads,
        "head_dim": t.dim // t.heads,
        "norm_eps": t.eps,
        "sliding_window": t.context,
        "rope_theta": t.theta,
        "layer_scale_initial_scale": t.layer_scale,
    }
    said = dataclasses.replace(
        read_mimi_config(values), name=config.name, encoding=config.encoding, quantizer=config.quantizer
    )
    if said != config:
        raise ModelError(f"{config.name} has settings that transformers' Mimi does not know")
    return values
