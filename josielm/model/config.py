"""What a model is made of, as frozen dataclasses that turn into JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from josiecodec.errors import ConfigError

Mode = Literal["stream", "turns"]


@dataclass(frozen=True)
class StackConfig:
    """A stack of pre-norm transformer blocks.

    Attributes:
        dim: width of the sequence.
        layers: number of blocks; 0 leaves the last norm alone.
        heads: of the attention; `dim // heads` channels each.
        hidden: width of the gated feed-forward layer (three matrices).
        norm: "rms" or "layer" (layer norm without biases).
        rotary: turn queries and keys by their positions. Without it only the causal mask tells what came when.
        added_positions: add sines of the position to what goes in (Vaswani et al. 2017, arXiv 1706.03762), as
            J.O.S.I.E. v4o does under the name of rotary positions (Gülmez 2025).
        theta: base of the rotary frequencies.
        dropout: after attention and feed-forward, in training.
        input_norm: normalise what goes in, too.
        final_norm: normalise what comes out a second time, as J.O.S.I.E. v4o does (Gülmez 2025).
    """

    dim: int = 256
    layers: int = 4
    heads: int = 4
    hidden: int = 704
    norm: Literal["rms", "layer"] = "rms"
    rotary: bool = True
    added_positions: bool = False
    theta: float = 10000.0
    dropout: float = 0.0
    input_norm: bool = False
    final_norm: bool = False

    def __post_init__(self) -> None:
        if min(self.dim, self.heads, self.hidden) < 1 or self.layers < 0:
            raise ConfigError("transformer: dim, heads and hidden must be positive, layers not negative")
        if self.dim // self.heads < 2:
            raise ConfigError(f"transformer: {self.heads} heads are too many for {self.dim} channels")
        if not 0 <= self.dropout < 1:
            raise ConfigError("transformer: dropout must be in [0, 1)")

    @property
    def block_parameters(self) -> int:
        """Those of the matrices of all blocks."""
        inner = self.heads * (self.dim // self.heads)
        return self.layers * self.dim * (4 * inner + 3 * self.hidden)


@dataclass(frozen=True)
class VisionConfig:
    """Codes of pictures, which come before the frames.

    Attributes:
        n_q: levels read of each patch.
        codebook_size: codes of a level.
        max_patches: patches that are looked at, the latest whole pictures.
        whole: patches see each other in both directions; else each those before it. Frames see all patches.
    """

    n_q: int = 8
    codebook_size: int = 2048
    max_patches: int = 1024
    whole: bool = False

    def __post_init__(self) -> None:
        if min(self.n_q, self.codebook_size, self.max_patches) < 1:
            raise ConfigError("vision: n_q, codebook_size and max_patches must be positive")


@dataclass(frozen=True)
class ModelConfig:
    """A temporal transformer over frames and a depth transformer over the levels of a frame.

    Attributes:
        name: of the model.
        n_q: levels K of the sound that it makes, the semantic one first.
        codebook_size: codes of a level.
        temporal: over frames; `temporal_on` False leaves it out, so that a frame sees only the one before it.
        depth: over the levels of a frame.
        depth_weights: "shared" by all levels, or every step has its own ("per_step").
        depth_tables: where the depth transformer reads what the previous step chose: in tables of its own, or in
            those of the temporal transformer through the projection it has anyway ("tied": no parameters).
        semantic: "level", the first step of the depth transformer like any other; or "split", from a head of its own
            on the temporal transformer, so that the depth transformer has the acoustic levels alone.
        acoustic_tables: a table for every acoustic level, or one for all ("shared", as in J.O.S.I.E. v4o; their sum
            then does not tell which level a code was from).
        text_head: who predicts the text: the temporal transformer, the first step of the depth transformer, or nobody.
        text_size: ids of the tokenizer; 0 for a model without text.
        text_reserved: rows behind them for what no tokenizer knows, see `josielm.model.ids`.
        learned_specials: the sound tables have a row for "not begun yet"; otherwise it counts as nothing.
        frame_bias: a learnt vector is added to every frame, so that one of which nothing is known is not zero: norms
            multiply gradients there by 300 in every block, and a deep model cannot learn.
        head_bias: heads have a bias. It can start as the frequencies of the codes.
        text_column: the semantic head also sees the text id as a number, as in J.O.S.I.E. v4o.
        streams: 1, or 2 if there is somebody else to listen to (full duplex).
        delays: frames by which each level is delayed; empty for none.
        user_delays: those of the other speaker.
        text_delay: that of the text.
        context: frames (and patches before them) that a frame can look back on, itself included.
        vision: what is known of pictures, or None.
    """

    name: str = "josielm"
    n_q: int = 9
    codebook_size: int = 2048
    temporal: StackConfig = field(default_factory=StackConfig)
    temporal_on: bool = True
    depth: StackConfig = field(default_factory=lambda: StackConfig(dim=192, layers=2, heads=4, hidden=512))
    depth_weights: Literal["shared", "per_step"] = "shared"
    depth_tables: Literal["own", "tied"] = "own"
    semantic: Literal["level", "split"] = "level"
    acoustic_tables: Literal["own", "shared"] = "own"
    text_head: Literal["temporal", "depth", "none"] = "none"
    text_size: int = 0
    text_reserved: int = 4
    learned_specials: bool = True
    frame_bias: bool = False
    head_bias: bool = True
    text_column: bool = False
    streams: int = 1
    delays: tuple[int, ...] = ()
    user_delays: tuple[int, ...] = ()
    text_delay: int = 0
    context: int = 250
    vision: VisionConfig | None = None

    def __post_init__(self) -> None:
        if self.n_q < 1 or self.codebook_size < 2 or self.context < 1:
            raise ConfigError("model: n_q and context must be positive, codebook_size at least 2")
        if self.streams not in (1, 2):
            raise ConfigError(f"model: 1 or 2 streams, not {self.streams}")
        for name, delays in (("delays", self.delays), ("user_delays", self.user_delays)):
            if delays and (len(delays) != self.n_q or min(delays) < 0):
                raise ConfigError(f"model: {name} must be {self.n_q} whole numbers, none of them negative")
        if self.text_delay < 0:
            raise ConfigError("model: text_delay must not be negative")
        if self.text_head != "none" and (self.text_size < 1 or self.text_reserved < 4):
            raise ConfigError("model: a text head needs text_size and at least four text_reserved")
        if self.text_size < 0:
            raise ConfigError("model: text_size must not be negative")
        if self.semantic == "split" and (self.text_head == "depth" or self.n_q < 2):
            raise ConfigError(
                "model: a split semantic level needs another level, and text before the depth transformer"
            )
        if self.text_column and not self.text_size:
            raise ConfigError("model: text_column needs text")
        self._check_order()

    def _check_order(self) -> None:
        """Within a step of the depth transformer, no row may wait for one that comes later in time."""
        if self.delays and self.delays[0] != min(self.delays):
            raise ConfigError("model: no level can come before the semantic one")

    @property
    def level_delays(self) -> tuple[int, ...]:
        """Of every level."""
        return self.delays or (0,) * self.n_q

    @property
    def listening_delays(self) -> tuple[int, ...]:
        """Of every level of the other speaker."""
        return self.user_delays or (0,) * self.n_q

    @property
    def longest_delay(self) -> int:
        """Steps after which a frame is complete."""
        return max(*self.level_delays, self.text_delay if self.text_size else 0, 0)

    @property
    def min_parameters(self) -> int:
        """A lower bound of the parameters: matrices of the transformers, tables and heads."""
        wide, narrow, size = self.temporal.dim, self.depth.dim, self.codebook_size
        steps = self.n_q - (self.semantic == "split") if self.depth_weights == "per_step" else 1
        blocks = (self.temporal.block_parameters if self.temporal_on else 0) + steps * self.depth.block_parameters
        heads = size * ((self.n_q - 1) * narrow + (wide if self.semantic == "split" else narrow))
        tables = size * self.streams * wide * self._tables_for(self.n_q)
        if self.depth_tables == "own":
            tables += size * narrow * self._tables_for(max(self.n_q - 1, 1))
        if self.vision is not None:
            tables += self.vision.n_q * self.vision.codebook_size * wide
        return blocks + heads + tables + wide * (self.text_rows + narrow)

    def _tables_for(self, levels: int) -> int:
        return min(levels, 2) if self.acoustic_tables == "shared" else levels

    @property
    def text_rows(self) -> int:
        """Rows of the text table; 0 without text."""
        return self.text_size + self.text_reserved if self.text_size else 0

    def with_levels(self, n_q: int, codebook_size: int) -> ModelConfig:
        """The same for codes of another layout; delays go on as they end."""
        own, user = (
            tuple(d[min(k, len(d) - 1)] for k in range(n_q)) if d else () for d in (self.delays, self.user_delays)
        )
        return replace(self, n_q=n_q, codebook_size=codebook_size, delays=own, user_delays=user)
