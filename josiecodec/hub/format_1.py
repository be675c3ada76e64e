"""Configurations of format 1, in which encoder settings stood among those of the model."""

from __future__ import annotations

from typing import Any

# Where settings stood in `config`, by the type of the model, and what they are called in `encoding`.
_MOVED: dict[str, dict[tuple[str, ...], str]] = {
    "jodio": {("default_n_q",): "n_q", ("quantizer", "beams"): "beams"},
    "jovio": {("default_n_q",): "n_q", ("beams",): "beams", ("weight",): "rd_lambda", ("masking",): "masking"},
}


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The contents of a `config.json` of format 1 as format 2 has them."""
    config = values.get("config")
    if not isinstance(config, dict):
        return values
    config = {name: dict(value) if isinstance(value, dict) else value for name, value in config.items()}
    encoding = {}
    for path, name in _MOVED[values["type"]].items():
        table: Any = config
        for step in path[:-1]:
            table = table.get(step)
        if isinstance(table, dict) and path[-1] in table:
            encoding[name] = table.pop(path[-1])
    return {**values, "format": 2, "config": {**config, "encoding": encoding}}
