"""Rules of the house: imports run one way, and the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from josiecodec.config import from_dict, to_dict
from josiecodec.errors import ConfigError
from josiecodec.training.config import CONFIGS, read_train_config, train_config
from josiecodec.training.vision_config import read_vision_config

ROOT = Path(__file__).parents[1]
# what each part may import besides itself
ALLOWED = {
    "nn": {"errors"},
    "tokens": {"errors", "fingerprint", "config", "atomic"},
    "audio": {"nn", "tokens", "errors", "codec"},
    "vision": {"nn", "tokens", "errors", "codec"},
    "datasets": {"audio", "vision", "tokens", "errors", "hub", "media", "codec", "atomic"},
    "metrics": {"audio", "nn", "errors"},
    "evaluation": {"audio", "vision", "tokens", "nn", "errors", "hub", "metrics", "atomic", "remote"},
    "training": {
        "audio",
        "vision",
        "tokens",
        "nn",
        "errors",
        "codec",
        "config",
        "fingerprint",
        "hub",
        "metrics",
        "atomic",
    },
}


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part):
    for path in (ROOT / "josiecodec" / part).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                target = (node.module or "").split(".")[0]
                assert target in ALLOWED[part] | {part}, f"{path.name} imports {target}"
            if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not any(n.split(".")[0] in ("josiecodec", "josiecodec_cli", "josielm") for n in names), path.name


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
        ({"model": {"preset": "jodio-24k", "default_n_q": 99}}, "default_n_q"),
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
