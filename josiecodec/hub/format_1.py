"""`config.json` of format 1: encoder settings stood among those of the model, and some settings had other names."""

from __future__ import annotations

from typing import Any

Path = tuple[str, ...]

# By the type of the model: where encoder settings stood in `config`, and what they are called in `encoder.json`.
_ENCODER: dict[str, dict[Path, str]] = {
    "jodio": {("default_n_q",): "n_q", ("quantizer", "beams"): "beams"},
    "jovio": {("default_n_q",): "n_q", ("beams",): "beams", ("weight",): "rd_lambda", ("masking",): "masking"},
}
# Where settings of the model stood -> where they stand now.
_RENAMED: dict[str, dict[Path, Path]] = {
    "jodio": {("decoder", "told"): ("decoder", "level_conditioned")},
    "jovio": {
        (name,): ("quantizer", name)
        for name in (
            "levels",
            "codebook_size",
            "shared_from",
            "code_dim",
            "update",
            "decay",
            "window",
            "restart_below",
            "commitment",
        )
    },
}


def upgraded(kind: str, config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `config` of format 1 becomes: `config` of format 2, and encoder settings."""
    config = {name: dict(value) if isinstance(value, dict) else value for name, value in config.items()}
    encoder = {name: value for path, name in _ENCODER[kind].items() for value in _taken(config, path)}
    for old, new in _RENAMED[kind].items():
        for value in _taken(config, old):
            table = config.setdefault(new[0], {})
            if isinstance(table, dict):
                table[new[1]] = value
    return config, encoder


def _taken(config: dict[str, Any], path: Path) -> list[Any]:
    """Take a setting out: its value, or nothing if it is not there."""
    table: Any = config
    for step in path[:-1]:
        table = table.get(step)
    return [table.pop(path[-1])] if isinstance(table, dict) and path[-1] in table else []
