"""Models by name."""

from __future__ import annotations

from dataclasses import replace

from josiecodec.errors import ConfigError

from .config import ModelConfig, StackConfig, VisionConfig


def _tiny() -> ModelConfig:
    """For tests and first steps: a few hundred thousand parameters beside the tables."""
    return ModelConfig(
        name="tiny",
        temporal=StackConfig(dim=64, layers=2, heads=4, hidden=128),
        depth=StackConfig(dim=64, layers=2, heads=4, hidden=128),
    )


def _small() -> ModelConfig:
    """What one CPU core can train in minutes on a few hours of sound, and run in real time."""
    return ModelConfig(
        name="small",
        temporal=StackConfig(dim=256, layers=4, heads=4, hidden=704),
        depth=StackConfig(dim=192, layers=2, heads=4, hidden=512),
        delays=(0, *([1] * 8)),
    )


def _v4o() -> ModelConfig:
    """As many parameters as the temporal and depth transformers of J.O.S.I.E. v4o (Gülmez 2025), but it can learn.

    From there: Llama-3's text table (128000 ids and 256 reserved ones), one table for all acoustic levels, heads of
    12 x 85 channels, a semantic head with the text id as a 513th input, and no tables in the depth transformer. What
    the published forward pass lacks (sums per frame, depth over levels, the previous code as an input) needs no
    parameters when the depth transformer reads the temporal tables.
    """
    return ModelConfig(
        name="v4o",
        n_q=8,
        temporal=StackConfig(dim=1028, layers=12, heads=12, hidden=4112, input_norm=True, final_norm=True),
        depth=StackConfig(dim=512, layers=6, heads=4, hidden=2048),
        depth_tables="tied",
        acoustic_tables="shared",
        text_head="depth",
        text_size=128000,
        text_reserved=256,
        learned_specials=False,
        head_bias=False,
        text_column=True,
        context=4096,
    )


def _v4o_printed() -> ModelConfig:
    """`v4o` with the positions as printed: sines added to what goes in, in both transformers."""
    config = _v4o()
    temporal, depth = (replace(s, rotary=False, added_positions=True) for s in (config.temporal, config.depth))
    return replace(config, name="v4o-printed", temporal=temporal, depth=depth)


def _v4o_paper() -> ModelConfig:
    """The size that the paper of J.O.S.I.E. v4o names, 2.8 billion parameters, in which it does not say how.

    With the text of Qwen2.5 (151,936 ids, as in the paper), full duplex, pictures, and the 1 + 8 levels of JODIO.
    """
    return ModelConfig(
        name="v4o-paper",
        temporal=StackConfig(dim=2560, layers=24, heads=20, hidden=6656, input_norm=True, final_norm=True),
        depth=StackConfig(dim=1024, layers=6, heads=8, hidden=2816),
        text_head="depth",
        text_size=151936,
        streams=2,
        delays=(0, *([1] * 8)),
        user_delays=(0, *([1] * 8)),
        context=4096,
        vision=VisionConfig(),
    )


PRESETS = {"tiny": _tiny, "small": _small, "v4o": _v4o, "v4o-printed": _v4o_printed, "v4o-paper": _v4o_paper}


def preset(name: str) -> ModelConfig:
    """The configuration of a named model.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r} (there are {', '.join(PRESETS)})")
    return PRESETS[name]()
