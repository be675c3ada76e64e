"""The depth transformer: within a frame, every step knows what the step before it chose.

context of the frame -> projection -+-> step 0 -> text?  (text_head "depth")
                                    +-> step 1 -> semantic code, knowing the text
                                    +-> step 2 -> acoustic code, knowing the semantic one
                                    ...
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from josiecodec.nn.streaming import State

from .config import ModelConfig
from .layers import Stack, StepLinear, plain_linear
from .tables import IdTable, LevelTables


class DepthTransformer(nn.Module):
    """Predicts text and codes of frames, one after the other.

    Attributes:
        first_level: the first level that it predicts, 1 if the semantic level has a head elsewhere.
        text_step: whether its first step is the text.
        steps: how many there are.
    """

    def __init__(self, config: ModelConfig, code_tables: LevelTables, text_table: IdTable | None):
        super().__init__()
        self.config = config
        dim = config.depth.dim
        self.first_level = int(config.semantic == "split")
        self.text_step = config.text_head == "depth"
        self.steps = config.n_q - self.first_level + self.text_step
        self.input_projection = nn.Linear(config.temporal.dim, dim, bias=False)
        self.tied = config.depth_tables == "tied"
        if self.tied:  # borrowed: kept out of this module's own parameters
            self._borrowed = (code_tables, text_table)
        else:
            rows = config.codebook_size + config.learned_specials
            self.code_tables = LevelTables(max(config.n_q - 1, 1), rows, dim, config.acoustic_tables == "shared")
            if config.text_head != "none":
                self.text_table = IdTable(config.text_rows, dim)

        def linear(width_in: int, width_out: int) -> nn.Module:
            if config.depth_weights == "shared":
                return plain_linear(width_in, width_out)
            return StepLinear(self.steps, width_in, width_out)

        self.transformer = Stack(config.depth, self.steps, linear)
        size, bias = config.codebook_size, config.head_bias
        if self.text_step:
            self.text_projection = nn.Linear(dim, config.text_rows, bias=bias)
        if not self.first_level:
            column = config.text_column
            self.semantic_projection = nn.Linear(dim + column, size, bias=bias or column)
        self.acoustic_projections = nn.ModuleList(nn.Linear(dim, size, bias=bias) for _ in range(config.n_q - 1))

    # Whole frames, with all that was chosen known ---------------------------------------------------

    def forward(self, context: Tensor, codes: Tensor, text: Tensor | None) -> Tensor:
        """What comes out of every step, each given the true choice of the step before.

        Args:
            context: [N, D] of the temporal transformer, a row for every frame.
            codes: ids [N, K] of these frames.
            text: ids [N], or None.

        Returns:
            [N, steps, depth dim].
        """
        base = self.base(context, text)
        inputs = [base] if self.text_step else []
        for level in range(self.first_level, self.config.n_q):
            inputs.append(base + self._before(level, codes, text))
        x = torch.stack(inputs, 1)
        return self.transformer(x, torch.arange(self.steps, device=x.device))

    def level_logits(self, hidden: Tensor, level: int, text: Tensor | None) -> Tensor:
        """Logits [N, codebook_size] of a level from what came out of its step, [N, depth dim]."""
        if level:
            return self.acoustic_projections[level - 1](hidden)
        return self.semantic_projection(with_text_column(self.config, hidden, text))

    def step_of(self, level: int) -> int:
        """The step that predicts a level."""
        return level - self.first_level + self.text_step

    # One step of a stream ---------------------------------------------------------------------------

    def base(self, context: Tensor, text: Tensor | None) -> Tensor:
        """What every step of a frame adds to its input: the context, and text that was chosen before."""
        base = self.input_projection(context)
        if text is not None and self.config.text_head == "temporal":
            base = base + self._text_vector(text)
        return base

    def next(self, base: Tensor, level: int, codes: Tensor, text: Tensor | None, state: State) -> Tensor:
        """The step of one level: `base` [N, depth dim], with `codes` [N, K] chosen below it -> [N, depth dim]."""
        step = self.step_of(level)
        return self._step(base + self._before(level, codes, text), step, state)

    def text(self, base: Tensor, state: State) -> Tensor:
        """The step of the text: its logits."""
        return self.text_projection(self._step(base, 0, state))

    def _step(self, x: Tensor, step: int, state: State) -> Tensor:
        return self.transformer(x[:, None], torch.tensor([step], device=x.device), state, step)[:, 0]

    # What was chosen before ---------------------------------------------------------------------------

    def _before(self, level: int, codes: Tensor, text: Tensor | None) -> Tensor | float:
        if level:
            return self._code_vector(level - 1, codes[:, level - 1])
        if self.text_step and text is not None:
            return self._text_vector(text)
        return 0.0

    def _code_vector(self, level: int, ids: Tensor) -> Tensor:
        if self.tied:
            return self.input_projection(self._borrowed[0].of(level, ids))
        return self.code_tables.of(level, ids)

    def _text_vector(self, ids: Tensor) -> Tensor:
        table = self._borrowed[1] if self.tied else self.text_table
        assert table is not None  # a model with a text head has one
        known = table(torch.where(ids == self.config.text_size + 3, -1, ids))
        return self.input_projection(known) if self.tied else known


def with_text_column(config: ModelConfig, hidden: Tensor, text: Tensor | None) -> Tensor:
    """`hidden` with the text id behind it, as a share of the table, where the configuration asks for it."""
    if not config.text_column:
        return hidden
    column = hidden.new_zeros(len(hidden), 1) if text is None else (text / config.text_rows).to(hidden.dtype)[:, None]
    return torch.cat([hidden, column], -1)
