"""`config.json`, what a model is, and `encoder.json`, how its encoder looks for codes.

Format 2 of `config.json` holds no encoder settings, so that they are no part of a model's fingerprint; in format 1
they stood among those of the model (`format_1.py`). `encoder.json` may be missing, or name only some settings: the
others are those of `config.json` of format 1, or the defaults of the configuration's class.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any, Literal

import safetensors

from ..audio.config import JodioConfig
from ..audio.presets import preset
from ..config import from_dict, to_dict
from ..errors import ConfigError, ModelError
from ..fingerprint import CONFIG_FILE, ENCODER_FILE
from ..settings import EncoderSettings
from ..vision.config import JovioConfig
from .format_1 import upgraded
from .limits import check_limits
from .mimi_config import MODEL_TYPE, read_mimi_config

FORMAT = 2
MAX_BYTES = 1 << 20  # of a file of settings
Layout = Literal["josiecodec", "transformers", "kyutai"]
Config = JodioConfig | JovioConfig
TYPES: dict[str, type[Config]] = {"jodio": JodioConfig, "jovio": JovioConfig}


def layout_of(place: Path) -> Layout:
    """The layout of a model's folder or file."""
    if place.is_file():
        return "kyutai"
    return "transformers" if _values(place / CONFIG_FILE).get("model_type") == MODEL_TYPE else "josiecodec"


def read_config(place: Path) -> Config:
    """The configuration of the model in a folder, or in a file of Kyutai's layout, with its encoder settings.

    Raises:
        ModelError: if it is damaged or made by a later version, or asks for more than `limits.py` allows.
    """
    config = config_alone(place)
    file = place / ENCODER_FILE
    if place.is_file() or not file.is_file():
        return config
    values = to_dict(config.encoding) | _values(file)
    try:
        return dataclasses.replace(config, encoding=from_dict(EncoderSettings, values, str(file)))
    except ConfigError as error:
        raise ModelError(str(error) if str(file) in str(error) else f"{file}: {error}") from None


def config_alone(place: Path) -> Config:
    """As `read_config`, without `encoder.json`."""
    file = place if place.is_file() else place / CONFIG_FILE
    try:
        config = _config_of_weights(file) if place.is_file() else _config(_values(file), str(file))
        check_limits(config)
    except (ModelError, ConfigError, ArithmeticError) as error:
        raise ModelError(str(error) if str(file) in str(error) else f"{file}: {error}") from None
    return config


def config_bytes(config: Config) -> bytes:
    """The contents of `config.json` of format 2."""
    kind = next(name for name, made in TYPES.items() if isinstance(config, made))
    values = to_dict(config)
    del values["encoding"]
    return json_bytes({"format": FORMAT, "type": kind, "config": values})


def encoder_bytes(settings: EncoderSettings) -> bytes:
    """The contents of `encoder.json`. A threshold below everything is as none; JSON knows no infinity."""
    values = to_dict(settings)
    for name in ("water_level", "envelope_threshold"):
        if values[name] == -math.inf:
            values[name] = None
        elif values[name] == math.inf:
            values[name] = sys.float_info.max
    return json_bytes(values)


def json_bytes(values: dict[str, Any]) -> bytes:
    """The contents of a file of settings."""
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()


def _config(values: dict[str, Any], where: str) -> Config:
    if values.get("model_type") == MODEL_TYPE:
        return read_mimi_config(values)
    kind, config = values.get("type"), values.get("config")
    encoder: dict[str, Any] = {}
    if not isinstance(kind, str) or kind not in TYPES or values.get("format") not in (1, FORMAT):
        raise ModelError("not a model configuration that this version can read")
    if isinstance(config, dict):
        if values["format"] == 1:
            config, encoder = upgraded(kind, config)
        if "encoding" in config:
            raise ModelError(f"encoder settings ('encoding') belong in {ENCODER_FILE}")
        config = {**config, "encoding": {"n_q": 1}}  # which every model has; replaced below
    made = from_dict(TYPES[kind], config, where)
    usual = TYPES[kind]().encoding
    settings = {**to_dict(usual), "n_q": min(usual.n_q, made.n_q), **encoder}
    return dataclasses.replace(made, encoding=from_dict(EncoderSettings, settings, where))


def _config_of_weights(file: Path) -> JodioConfig:
    """The preset "mimi" with as many levels as the file has; all else is fixed in Kyutai's code."""
    from .mimi_weights import acoustic_levels  # with torch

    try:
        with safetensors.safe_open(str(file), "pt") as opened:
            levels = acoustic_levels(opened.keys())
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{file}: cannot be read ({error})") from None
    if not levels:
        raise ModelError(f"{file}: not the weights of a Mimi in Kyutai's layout")
    config = preset("mimi")
    quantizer = dataclasses.replace(config.quantizer, acoustic_levels=levels)
    encoding = dataclasses.replace(config.encoding, n_q=min(config.encoding.n_q, levels + 1))
    return dataclasses.replace(config, quantizer=quantizer, encoding=encoding)


def _values(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ModelError(f"{file}: too large for a file of settings")
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read ({error})") from None
    return values if isinstance(values, dict) else {}
