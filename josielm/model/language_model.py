"""The language model over frames of codes.

    frame t - 1 of every row (text, own levels, the other speaker's levels), summed
        -> temporal transformer -> context of frame t -> depth transformer -> text, code, code, ... of frame t

Public tensors are codes [B, K, T], the semantic level first, and text [B, T]; every part may be missing, as a whole
(None) or here and there (the ABSENT ids of `josielm.model.ids`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from josiecodec.errors import CodesError

from .config import ModelConfig
from .delays import delay, undelay
from .depth import DepthTransformer, with_text_column
from .ids import Ids
from .layers import Stack
from .tables import GridPositions, IdTable, LevelTables


@dataclass(frozen=True)
class LMOutput:
    """Logits that belong to the ids that were given: no shift is needed, whatever the delays.

    Attributes:
        logits: float32 [B, K, T, codebook_size].
        mask: bool [B, K, T]; False where there is no code, and for the last frames of levels that are put off.
        text_logits: float32 [B, T, text rows], or None.
        text_mask: bool [B, T], or None.
    """

    logits: Tensor
    mask: Tensor
    text_logits: Tensor | None = None
    text_mask: Tensor | None = None


@dataclass(frozen=True)
class Inputs:
    """A batch as users give it; any part may be None.

    Attributes:
        codes: own sound, ids [B, K, T].
        text: ids [B, T].
        user: the other speaker's sound, ids [B, K, T].
        vision: codes of pictures, ids [B, levels, P]; a patch with fewer levels has the ABSENT id in the others, and
            padding, which stands before the patches, has it in all. Alone they stand before the first frame.
        grid: where the patches are: [B, P, 3], time in frames, row and column.
        learn: bool [B, T], False for frames that are given but not to be learnt; None learns all.
    """

    codes: Tensor | None = None
    text: Tensor | None = None
    user: Tensor | None = None
    vision: Tensor | None = None
    grid: Tensor | None = None
    learn: Tensor | None = None

    def to(self, device: torch.device) -> Inputs:
        """The same on another device."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True)
class Steps:
    """Inputs as the model sees them: delayed, with ids that say so where something is missing.

    Attributes:
        codes: [B, K, T]; text: [B, T]; user: [B, K, T]; the latter two None for models that do not have them.
    """

    codes: Tensor
    text: Tensor | None
    user: Tensor | None


class LM(nn.Module):
    """A temporal-depth transformer; see `ModelConfig` for its parts and `josielm.load` for trained ones."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.ids = Ids(config.codebook_size, config.text_size)
        dim, rows = config.temporal.dim, config.codebook_size + config.learned_specials
        shared = config.acoustic_tables == "shared"
        self.code_tables = LevelTables(config.n_q, rows, dim, shared)
        self.text_table = IdTable(config.text_rows, dim) if config.text_size else None
        self.user_tables = LevelTables(config.n_q, rows, dim, shared) if config.streams == 2 else None
        self.frame_bias = nn.Parameter(torch.randn(dim) * dim**-0.5) if config.frame_bias else None
        if config.vision:
            self.vision_tables = LevelTables(config.vision.n_q, config.vision.codebook_size, dim)
            self.vision_positions = GridPositions(dim)
        stack = config.temporal if config.temporal_on else replace(config.temporal, layers=0)
        self.temporal = Stack(stack, config.context)
        if config.text_head == "temporal":
            self.text_projection = nn.Linear(dim, config.text_rows, bias=config.head_bias)
        if config.semantic == "split":
            column = config.text_column
            self.semantic_projection = nn.Linear(dim + column, config.codebook_size, bias=config.head_bias or column)
        self.depth = DepthTransformer(config, self.code_tables, self.text_table)

    # Whole sequences ----------------------------------------------------------------------------------

    def forward(self, inputs: Inputs) -> LMOutput:
        """Logits of every text id and code, each given all that comes before it.

        Raises:
            CodesError: if there is nothing, or shapes or ids do not fit the model.
        """
        self.check(inputs)
        steps = self.steps(inputs)
        context = self.context(steps, inputs)
        batch, frames, _ = context.shape
        flat = context.flatten(0, 1)
        codes = steps.codes.transpose(1, 2).flatten(0, 1)
        text = None if steps.text is None else steps.text.flatten()
        hidden = self.depth(flat, codes, text)
        rows = torch.stack([self.code_logits(flat, hidden, level, text) for level in range(self.config.n_q)], 1)
        rows = rows.unflatten(0, (batch, frames)).transpose(1, 2)
        logits, known = undelay(rows, self.config.level_delays)
        own, _ = undelay(steps.codes, self.config.level_delays)
        mask = known & (own < self.config.codebook_size)
        if self.config.text_head == "none" or steps.text is None:
            return LMOutput(logits, mask)
        words = self.text_logits(flat, hidden).unflatten(0, (batch, 1, frames))
        words, known = undelay(words, [self.config.text_delay])
        said, _ = undelay(steps.text[:, None], [self.config.text_delay])
        return LMOutput(logits, mask, words[:, 0], (known & (said < self.ids.text_start))[:, 0])

    def code_logits(self, context: Tensor, hidden: Tensor, level: int, text: Tensor | None) -> Tensor:
        """Logits [N, codebook_size] of a level, from contexts [N, D] and what the depth transformer made of them."""
        if level == 0 and self.config.semantic == "split":
            return self.semantic_projection(with_text_column(self.config, context, text)).float()
        return self.depth.level_logits(hidden[:, self.depth.step_of(level)], level, text).float()

    def text_logits(self, context: Tensor, hidden: Tensor | None) -> Tensor:
        """Logits [N, text rows]; what can only be read is ruled out."""
        if hidden is not None and self.depth.text_step:
            logits = self.depth.text_projection(hidden[:, 0])
        else:
            logits = self.text_projection(context)
        return self.allowed_text(logits)

    def allowed_text(self, logits: Tensor) -> Tensor:
        """Text logits with START, ABSENT and unused rows ruled out."""
        logits = logits.float()
        beyond = torch.arange(logits.shape[-1], device=logits.device) >= self.ids.text_start
        return logits.masked_fill(beyond, float("-inf"))

    # From ids to contexts -----------------------------------------------------------------------------

    def steps(self, inputs: Inputs) -> Steps:
        """Delay every row, and fill in what is missing altogether."""
        device = next(self.parameters()).device
        given = next((x for x in (inputs.codes, inputs.user, inputs.text) if x is not None), None)
        codes = inputs.codes
        if codes is None:
            batch = given if given is not None else inputs.vision
            assert batch is not None  # checked
            shape = (batch.shape[0], self.config.n_q, 1 if given is None else given.shape[-1])
            codes = torch.full(shape, self.ids.absent, device=device)
        text, user = inputs.text, inputs.user
        if self.text_table is not None:
            if text is None:
                text = torch.full((codes.shape[0], codes.shape[-1]), self.ids.text_absent, device=device)
            text = delay(text[:, None], [self.config.text_delay], self.ids.text_start)[:, 0]
        if self.user_tables is not None:
            user = torch.full_like(codes, self.ids.absent) if user is None else user
            user = delay(user, self.config.listening_delays, self.ids.start)
        return Steps(delay(codes, self.config.level_delays, self.ids.start), text, user)

    def context(self, steps: Steps, inputs: Inputs) -> Tensor:
        """[B, T, D]: what the temporal transformer knows before each step."""
        x = self.embed(steps)
        frames = x.shape[1]
        positions = torch.arange(frames, device=x.device)
        prefix = self.prefix(inputs)
        if prefix is None:
            return self.temporal(x, positions)
        both_ways = prefix[0].shape[1] if self.config.vision and self.config.vision.whole else 0
        before, when, visible = prefix
        x = torch.cat([before, x], 1)
        positions = torch.cat([when, positions.expand(len(x), -1)], 1)
        return self.temporal(x, positions, visible=F.pad(visible, (0, frames), value=True), both_ways=both_ways)[
            :, -frames:
        ]

    def embed(self, steps: Steps) -> Tensor:
        """Inputs of the temporal transformer: each step gets the ids of the one before, [B, T, D]."""
        x = self.code_tables(_shifted(steps.codes, self.ids.start))
        if steps.text is not None:
            x = x + self.text_vector(_shifted(steps.text, self.ids.text_start))
        if steps.user is not None and self.user_tables is not None:
            x = x + self.user_tables(_shifted(steps.user, self.ids.start))
        return x if self.frame_bias is None else x + self.frame_bias

    def text_vector(self, ids: Tensor) -> Tensor:
        """Vectors of text ids; absent text adds nothing."""
        assert self.text_table is not None  # only asked for where there is text
        return self.text_table(torch.where(ids == self.ids.text_absent, -1, ids))

    def prefix(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor] | None:
        """Pictures as vectors [B, P, D], their times [B, P] and bool [B, P], False for padding; None without any."""
        if inputs.vision is None or inputs.grid is None or not self.config.vision:
            return None
        visible = inputs.vision[:, 0] < self.config.vision.codebook_size
        x = self.vision_tables(inputs.vision) + self.vision_positions(inputs.grid[..., 1:])
        return x, inputs.grid[..., 0].float(), visible

    def check(self, inputs: Inputs) -> None:
        """Refuse what does not fit the model.

        Raises:
            CodesError: on wrong shapes, ids out of range, or nothing at all.
        """
        sizes: set[tuple[int, ...]] = set()
        top = self.ids.absent
        for name, x in (("codes", inputs.codes), ("user", inputs.user)):
            if x is not None:
                _check_ids(name, x, 3, top)
                if x.shape[1] != self.config.n_q:
                    raise CodesError(f"{name} must be [B, {self.config.n_q}, T], not {list(x.shape)}")
                sizes.add((x.shape[0], x.shape[2]))
        if inputs.text is not None:
            if not self.config.text_size:
                raise CodesError(f"{self.config.name} has no text")
            _check_ids("text", inputs.text, 2, self.ids.text_absent)
            sizes.add(tuple(inputs.text.shape))
        if inputs.user is not None and self.user_tables is None:
            raise CodesError(f"{self.config.name} has one stream; it cannot listen to another")
        if not sizes and inputs.vision is not None and inputs.vision.dim() == 3:
            sizes.add((inputs.vision.shape[0], 1))  # pictures alone: the first frame is still to come
        if len(sizes) != 1:
            raise CodesError("give codes, user, text or pictures, all of the same batch and frames")
        self._check_vision(inputs, next(iter(sizes))[0])

    def _check_vision(self, inputs: Inputs, batch: int) -> None:
        if inputs.vision is None and inputs.grid is None:
            return
        if self.config.vision is None:
            raise CodesError(f"{self.config.name} knows no pictures")
        if inputs.vision is None or inputs.grid is None:
            raise CodesError("pictures need their codes and their grid")
        _check_ids("vision", inputs.vision, 3, self.config.vision.codebook_size + 1)
        patches = inputs.vision.shape[-1]
        if inputs.vision.shape[:2] != (batch, self.config.vision.n_q) or inputs.grid.shape != (batch, patches, 3):
            raise CodesError(f"vision must be [{batch}, {self.config.vision.n_q}, P] with a grid [{batch}, P, 3]")

    # Counting -----------------------------------------------------------------------------------------

    def parameter_count(self) -> int:
        """Numbers that are learnt."""
        return sum(p.numel() for p in self.parameters())

    def multiplications(self, depth_share: float = 1.0) -> int:
        """Products of a forward pass over one frame, without those of attention scores."""
        matrices = {n: p.numel() for n, p in self.named_parameters() if p.dim() > 1 and "table" not in n}
        depth = sum(v for n, v in matrices.items() if n.startswith("depth."))
        inner = sum(v for n, v in matrices.items() if n.startswith("depth.transformer"))
        repeated = inner * (self.depth.steps - 1) if self.config.depth_weights == "shared" else 0
        return sum(matrices.values()) - depth + round((depth + repeated) * depth_share)


def _shifted(ids: Tensor, start: int) -> Tensor:
    """The ids of the step before, `start` before the first one."""
    return torch.cat([torch.full_like(ids[..., :1], start), ids[..., :-1]], -1)


def _check_ids(name: str, x: Tensor, dims: int, top: int) -> None:
    if x.dim() != dims or x.is_floating_point() or x.dtype == torch.bool or not x.numel():
        raise CodesError(f"{name} must be integers with {dims} axes, none of them empty, not {x.dtype} {list(x.shape)}")
    if not 0 <= int(x.min()) <= int(x.max()) <= top:
        raise CodesError(f"{name} must be ids in 0..{top}")
