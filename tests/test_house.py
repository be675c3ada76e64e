"""Rules of the house: imports run one way, and the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from josiecodec.config import from_dict, to_dict
from josiecodec.errors import ConfigError
from josiecodec.training.audio.config import read_train_config, train_config
from josiecodec.training.core.settings import CONFIGS
from josiecodec.training.vision.config import read_train_config as read_vision_config

ROOT = Path(__file__).parents[1]
# What each room may import besides itself. A room is a folder, or a module beside the folders.
LAYERS = {
    "josiecodec": {
        "errors": "",
        "config": "errors",
        "atomic": "errors",
        "weight_files": "errors",
        "fingerprint": "config errors weight_files",
        "shipped": "errors fingerprint weight_files",
        "settings": "errors",
        "network": "errors settings",
        "nn": "errors",
        "kernels": "",
        "quantization": "errors nn",
        "media": "errors atomic",
        "audio": "errors settings network nn quantization",
        "vision": "errors settings network nn quantization kernels",
        "entropy": "errors kernels",
        "bitstream": "errors atomic fingerprint shipped entropy kernels",
        "coding": "errors atomic config fingerprint settings network nn quantization media audio vision entropy "
        "bitstream kernels",
        "hub": "errors atomic config fingerprint weight_files shipped settings nn quantization audio vision entropy "
        "coding",
        "runtime": "errors kernels settings shipped weight_files fingerprint quantization media audio vision entropy "
        "bitstream coding hub",
        "page_files": "errors atomic fingerprint shipped runtime",
        "export_pictures": "nn vision",
        "export_runtime": "errors atomic nn audio vision coding hub runtime export_pictures",
        "files": "errors settings shipped media bitstream coding hub runtime",
        "display": "errors shipped nn media bitstream hub",
        "panels": "media display",
        "export_precision": "errors media",
        "export": "errors atomic nn audio coding export_precision",
        "datasets": "errors atomic config",
        "metrics": "errors nn media",
        "hearing": "errors atomic config nn media hub",
        "tokenization": "errors atomic settings media bitstream coding hub datasets hearing",
        "evaluation": "errors atomic fingerprint shipped settings display nn media bitstream vision coding hub metrics "
        "hearing",
        "training.core": "errors atomic config shipped nn quantization media coding hub",
        "training.audio": "errors atomic config settings nn quantization media audio coding hub panels metrics "
        "training.core",
        "training.vision": "errors atomic config settings nn quantization media vision entropy coding hub panels "
        "metrics training.core",
        "training.entropy": "errors atomic fingerprint quantization entropy bitstream audio vision coding hub "
        "training.core training.audio training.vision",
        "training.hearing": "errors media coding hearing training.audio",
        "__init__": "errors settings media bitstream coding hub runtime files datasets hearing",
    },
    "josielm": {
        "model": "",
        "data": "model",
        "store": "model data",
        "speech": "",
        "training": "model data store speech",
        "inference": "model data store",
        "cli": "model data store speech training inference",
        "__init__": "model data store speech training inference",
    },
}
PACKAGES = {"josiecodec": "josiecodec", "josielm": "josielm", "cli": "josiecodec_cli", "benchmarks": "benchmarks"}
# What each package may import of the others.
PACKAGES_BELOW = {
    "josiecodec": set(),
    "josiecodec_cli": {"josiecodec"},
    "josielm": {"josiecodec", "josiecodec_cli"},
    "benchmarks": {"josiecodec", "josiecodec_cli", "josielm"},
}


def modules() -> dict[str, Path]:
    """Every module of the tree by its name."""
    found = {}
    for folder, package in PACKAGES.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of ours that a module imports, wherever in it: at the top, in a function or for types alone."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            for alias in node.names:
                found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base)
    return {target for target in found if target in known and target != name}


KNOWN = modules()
IMPORTS = {name: imports(name, path, KNOWN) for name, path in KNOWN.items()}


def room(name: str) -> tuple[str, str]:
    """Package and room of a module."""
    package, _, rest = name.partition(".")
    if not rest:
        return package, "__init__"
    parts = rest.split(".")
    return package, ".".join(parts[:2]) if parts[0] == "training" and package == "josiecodec" else parts[0]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_imports_run_one_way(name):
    package, own = room(name)
    for target in IMPORTS[name]:
        other, there = room(target)
        if other != package:
            assert other in PACKAGES_BELOW[package], f"{name} imports {target}"
        elif package in LAYERS and there != own:
            assert there in LAYERS[package][own].split(), f"{name} imports {target}"


def test_layers_are_in_order():
    for rooms in LAYERS.values():
        above = set(rooms)
        for name, below in rooms.items():
            above.discard(name)
            assert not above & set(below.split()), f"{name} may import what stands above it"


def test_no_circle_of_imports():
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in IMPORTS[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in IMPORTS:
        visit(name, ())


# What decodes a stream must not reach, by whatever way through its own folder, what only an encoder needs.
DECODERS = ("vision_decoder", "reconstruct", "codec")
ENCODERS = {"vision_encoder", "rate_control", "rdo", "audio_rate_control"}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_reach_no_encoder(name):
    folder = "josiecodec.coding."
    reached, waiting = set(), [folder + name]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [target for target in IMPORTS[module] if target.startswith(folder)]
    assert not reached & {folder + encoder for encoder in ENCODERS}


def test_importing_is_light():
    heavy = (
        "torch",
        "av",
        "torchaudio",
        "pesq",
        "scipy",
        "transformers",
        "tensorboard",
        "torch_pesq",
        "PIL",
        "huggingface_hub",
    )
    code = f"import sys, josiecodec; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_files_stay_small():
    for folder in ("josiecodec", "cli", "josielm", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 420, path


def test_experiments_can_be_read():
    names = [p.stem for p in CONFIGS.glob("*.toml")]
    assert names
    for name in names:
        config = (read_vision_config if name.startswith("jovio") else read_train_config)(name)
        assert from_dict(type(config), to_dict(config)) == config


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"stpes": 3}, "unknown key 'stpes'"),
        ({"loss": {"mel": "much"}}, "loss.mel"),
        ({"loss": 3}, "loss"),
        ({"steps": 0}, "positive"),
        ({"steps": 1.5}, "steps"),
        ({"precision": "int3"}, "precision"),
        ({"model": {"preset": "jodio-24k", "encoder": {"kind": "magic"}}}, "kind"),
        ({"model": {"preset": "jodio-24k", "encoder": {"hop": 7}}}, "window"),
        ({"model": {"preset": "jodio-24k", "decoder": {"hop": 480}}}, "frame"),
        ({"model": {"preset": "jodio-24k", "encoding": {"n_q": 99}}}, "n_q"),
    ],
)
def test_wrong_settings_are_named(values, text):
    with pytest.raises(ConfigError, match=text):
        train_config(values)


def test_settings_can_be_changed_one_by_one(tmp_path):
    config = read_train_config("jodio_24k_cpu", ("optimizer.lr = 1e-3", "model = {preset='jodio-24k', latent_dim=64}"))
    assert config.optimizer.lr == 1e-3
    assert config.model.latent_dim == 64
    for bad in ("optimizer.lr", "nothing = 1"):
        with pytest.raises(ConfigError):
            read_train_config("jodio_24k_cpu", (bad,))
    with pytest.raises(ConfigError, match="there are"):
        read_train_config("no_such_experiment")
