"""The files of the page: what `web/` was built to, and the models beside it, in the form that a browser loads.

index.html, assets/...              of the page, built by `npm run build` in `web/`
models/index.json                   the models, and which one encodes
models/graphs/NAME.onnx, .json      graphs without weights, the same for all models (`runtime/graphs`)
models/NAME/config.json, encoder.json, entropy.safetensors
models/NAME/base.safetensors        weights of the networks and codebooks of the base; of pictures all
models/NAME/layers.safetensors      those of the layers after the base, which not every file needs
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from .atomic import write_bytes
from .errors import CodecError, ModelError
from .fingerprint import CONFIG_FILE, ENCODER_FILE, FINGERPRINT_DIGITS, TABLES_FILE, tables_file
from .runtime.choose import model_reason, picture_reason
from .runtime.graphs import GRAPHS
from .runtime.model_files import Weights
from .shipped import WEIGHTS, available, fingerprint_of, model_kind

# Where a page was built to: of an installation, of the repository, and of one that is the folder here.
PLACES = (Path(__file__).parent / "page", Path(__file__).parents[1] / "web" / "dist", Path("web", "dist"))
INDEX = "index.html"
MODELS = "models"
BASE_FILE, LAYERS_FILE = "base.safetensors", "layers.safetensors"
USED = ("encoder", "decoder", "waveform", "filter", "envelope")  # graphs of sound
PICTURES = ("picture_encoder", "picture_hidden", "picture_fine", "picture_filter", "picture_filter_8")
LAYERS = ("waveform_layer.", "envelope_layer.")


class Page:
    """All files of the page, by their paths with slashes.

    Args:
        built: folder that the page was built to; None for that of the package, or of the repository.
        usual: the model that encodes of each kind, "audio" and "vision", if the page has it; else its last by name.

    Raises:
        CodecError: if it was not built.
        ModelError: if no model can be run by it.
    """

    def __init__(self, built: Path | None = None, usual: Mapping[str, str] | None = None):
        places = PLACES if built is None else (built,)
        built = next((place for place in places if (place / INDEX).is_file()), None)
        if built is None:
            where = f"{places[0]}: " if len(places) == 1 else ""
            raise CodecError(
                f"{where}the page is not built: in the folder web of the repository npm ci && npm run build, "
                "then serve from there or install again; --page FOLDER takes one that was built elsewhere"
            )
        self.built, self._usual = built, dict(usual or {})
        self.models = {name: WEIGHTS / name for name in available() if fits(WEIGHTS / name)}
        if not self.models:
            raise ModelError("no model of the package has graphs that a browser can run")

    def names(self) -> list[str]:
        """Paths of all files."""
        built = [path.relative_to(self.built) for path in self.built.rglob("*") if path.is_file()]
        page = [path.as_posix() for path in built if path.parts[0] != MODELS]  # models of `write` may lie there
        graphs = [f"{MODELS}/graphs/{name}{suffix}" for name in (*USED, *PICTURES) for suffix in (".onnx", ".json")]
        models = [
            f"{MODELS}/{name}/{file}"
            for name, folder in self.models.items()
            for file in (CONFIG_FILE, TABLES_FILE, BASE_FILE, LAYERS_FILE)
            if _has(folder, file)
        ]
        return sorted([*page, f"{MODELS}/index.json", *graphs, *models])

    def read(self, name: str) -> bytes:
        """The bytes of one of `names`."""
        parts = name.split("/")
        if parts[0] != MODELS:
            return (self.built / name).read_bytes()
        if len(parts) == 2:
            return self._index()
        if parts[1] == "graphs":
            return (GRAPHS / parts[2]).read_bytes()
        folder = self.models[parts[1]]
        if parts[2] in (BASE_FILE, LAYERS_FILE):
            return part_of_weights(folder, parts[2] == LAYERS_FILE)
        return (tables_file(folder) if parts[2] == TABLES_FILE else folder / parts[2]).read_bytes()

    def _index(self) -> bytes:
        models = [
            {
                "name": name,
                "kind": model_kind(folder),
                "fingerprint": fingerprint_of(folder)[:FINGERPRINT_DIGITS],
                "encoder": _settings(folder),
            }
            for name, folder in self.models.items()
        ]
        found = {"default": self.encoding("audio"), "pictures": self.encoding("vision"), "models": models}
        return json.dumps(found, indent=1).encode()

    def encoding(self, kind: str) -> str | None:
        """The model that encodes."""
        names = [name for name, folder in self.models.items() if model_kind(folder) == kind]
        usual = self._usual.get(kind, "")
        return usual if usual in names else max(names, default=None)

    def write(self, folder: Path) -> int:
        """Write all files to a folder, for any host of static files; how many bytes they have."""
        total = 0
        for name in self.names():
            data = self.read(name)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, data)
            total += len(data)
        return total


def _settings(folder: Path) -> dict[str, Any]:
    """Settings of a model's encoder that are not the usual ones."""
    path = folder / ENCODER_FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def fits(folder: Path) -> bool:
    """Whether the model in a folder can be run by the page."""
    kind = model_kind(folder)
    return kind is not None and (model_reason(folder) if kind == "audio" else picture_reason(folder)) is None


def _has(folder: Path, file: str) -> bool:
    """Whether a model has one of the files that it can have."""
    if file == BASE_FILE:
        return True
    if file == TABLES_FILE:
        return tables_file(folder).is_file()
    return model_kind(folder) == "audio" if file == LAYERS_FILE else (folder / file).is_file()


@cache
def part_of_weights(folder: Path, layers: bool) -> bytes:
    """Weights of the layers after the base, or all others, as a file of safetensors."""
    weights = Weights(folder)
    names = [name for name in weights if name.startswith(LAYERS) == layers]
    return safetensors.numpy.save({name: np.ascontiguousarray(weights[name]) for name in names})
