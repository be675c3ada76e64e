"""Models in folders: `config.json`, `model.safetensors`, and `tokenizer.json` if there is text. Never a pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from josiecodec.atomic import write_bytes
from josiecodec.config import from_dict, to_dict
from josiecodec.datasets.dataset import DatasetInfo, TokenDataset
from josiecodec.errors import ConfigError, ModelError
from josiecodec.fingerprint import CONFIG_FILE
from josiecodec.weight_files import WEIGHTS_FILE

from .data.text import TextRows, load_tokenizer
from .model.config import Mode, ModelConfig
from .model.ids import Ids
from .model.language_model import LM

TOKENIZER_FILE = "tokenizer.json"
FORMAT = 1


@dataclass
class Trained:
    """A model with what is needed to use it.

    Attributes:
        model: in evaluation mode.
        codec: what made the codes that it has learnt.
        rows: makes text, or None if it has none.
        vision: what made the codes of pictures that it has learnt from, or None.
        mode: what it has learnt from, see `TrainConfig`.
    """

    model: LM
    codec: DatasetInfo
    rows: TextRows | None
    vision: DatasetInfo | None = None
    mode: Mode = "stream"

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.codec.frame_rate[0] / self.codec.frame_rate[1]


def save(
    folder: str | Path,
    model: LM,
    codec: DatasetInfo,
    rows: TextRows | None = None,
    vision: DatasetInfo | None = None,
    mode: Mode = "stream",
) -> Path:
    """Write a model to `folder`, made if need be; its configuration comes last, so that no half of one is loaded.

    Args:
        folder: where to.
        model: what.
        codec: the `dataset.json` of what it has learnt.
        rows: of its text.
        vision: the `dataset.json` of the pictures that it has learnt from.
        mode: what it has learnt from, see `TrainConfig`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if rows is not None:
        write_bytes(folder / TOKENIZER_FILE, rows.tokenizer.to_str().encode())
    write_bytes(folder / WEIGHTS_FILE, safetensors.torch.save(tensors))
    values = {
        "format": FORMAT,
        "type": "josielm",
        "config": to_dict(model.config),
        "codec": to_dict(codec),
        "vision": None if vision is None else to_dict(vision),
        "text_offset": 0 if rows is None else rows.offset,
        "mode": mode,
    }
    write_bytes(folder / CONFIG_FILE, (json.dumps(values, indent=1) + "\n").encode())
    return folder


def load(folder: str | Path, device: str | torch.device = "cpu") -> Trained:
    """Load a model, ready for use.

    Raises:
        ModelError: if there is none, or its files do not fit together.
    """
    folder = Path(folder)
    values = _read_config(folder)
    try:
        config = from_dict(ModelConfig, _present_names(values.get("config")), str(folder / CONFIG_FILE))
        codec = from_dict(DatasetInfo, values.get("codec"), str(folder / CONFIG_FILE))
        pictures = values.get("vision")
        vision = None if pictures is None else from_dict(DatasetInfo, pictures, str(folder / CONFIG_FILE))
        mode = _mode(values, config)
        rows = None
        if config.text_size:
            tokenizer = load_tokenizer(folder / TOKENIZER_FILE)
            rate = codec.frame_rate[0] / codec.frame_rate[1]
            ids = Ids(config.codebook_size, config.text_size)
            rows = TextRows(tokenizer, ids, rate, int(values.get("text_offset", 0)))
        if config.min_parameters > (folder / WEIGHTS_FILE).stat().st_size:
            raise ConfigError("it is of a far larger model than its weights")  # and would take as much memory
        model = LM(config)
    except (ConfigError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ModelError(f"{folder / CONFIG_FILE}: no model can be made of this ({error})") from None
    weights = folder / WEIGHTS_FILE
    try:
        tensors = safetensors.torch.load_file(str(weights))
        model.load_state_dict(tensors)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{weights}: cannot be read ({error})") from None
    except RuntimeError as error:
        raise ModelError(f"{weights}: does not fit its {CONFIG_FILE} ({str(error).splitlines()[-1].strip()})") from None
    return Trained(model.eval().requires_grad_(False).to(device), codec, rows, vision, mode)


def read_model_config(folder: str | Path) -> ModelConfig:
    """The configuration of a model in a folder.

    Raises:
        ModelError: if there is none, or it makes no sense.
    """
    values = _read_config(Path(folder))
    try:
        return from_dict(ModelConfig, _present_names(values.get("config")), str(Path(folder) / CONFIG_FILE))
    except ConfigError as error:
        raise ModelError(str(error)) from None


def load_codec(codec: DatasetInfo, name: str | Path | None = None, device: str = "cpu") -> Any:
    """The codec that made the codes a model has learnt: one that ships with the package, or the one named.

    Raises:
        ModelError: if it is another one, or cannot be found.
    """
    import josiecodec
    from josiecodec.shipped import find_fingerprint

    codec_model = josiecodec.load(name or find_fingerprint(codec.fingerprint, codec.codec), device)
    if codec_model.fingerprint != codec.fingerprint:
        raise ModelError(
            f"the model has learnt codes of {codec.codec} ({codec.fingerprint[:12]}), "
            f"not of {codec_model.config.name} ({codec_model.fingerprint[:12]})"
        )
    return codec_model


def check_codec(trained: Trained, dataset: TokenDataset) -> None:
    """Make sure that a model has learnt the codes that a dataset holds.

    Raises:
        ModelError: if another codec made them.
    """
    if dataset.info.fingerprint != trained.codec.fingerprint:
        raise ModelError(
            f"{dataset.folder}: codes of {dataset.info.codec} ({dataset.info.fingerprint[:12]}); "
            f"the model has learnt those of {trained.codec.codec} ({trained.codec.fingerprint[:12]})"
        )


def _present_names(config: Any) -> Any:
    """The configuration of a model with the names that settings have now; `vision.most` is `max_patches`."""
    vision = config.get("vision") if isinstance(config, dict) else None
    if not isinstance(vision, dict) or "most" not in vision:
        return config
    return {**config, "vision": {"max_patches" if name == "most" else name: v for name, v in vision.items()}}


def _mode(values: dict[str, Any], config: ModelConfig) -> Mode:
    mode = values.get("mode", "stream")  # models that were saved without one have learnt from pieces of clips
    if mode == "stream" or (mode == "turns" and config.text_size):
        return mode
    raise ConfigError(f"mode {mode!r}")


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    if not path.is_file() or not (folder / WEIGHTS_FILE).is_file():
        raise ModelError(f"{folder}: no model here ({CONFIG_FILE} and {WEIGHTS_FILE})")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from None
    if not isinstance(values, dict) or values.get("type") != "josielm" or values.get("format") != FORMAT:
        raise ModelError(f"{path}: not the configuration of a model that josielm knows")
    return values
