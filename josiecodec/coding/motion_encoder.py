"""From pictures to a video with motion at a wanted rate.

Pictures come in windows of some seconds. A window is coded twice: first to learn what it takes, then with steps that
make it fit, which are corrected after every few pictures. Within a window all pictures have the same quality, but for
what the hierarchy gives: a key picture is the finest, since all that follows is predicted from it, then come every
sixteenth, eighth, fourth and second picture, each predicted from the finer ones before and behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import MAX_PAYLOAD
from ..bitstream.motion_payload import MotionPayload, MotionRows, PictureHead
from ..bitstream.motion_syntax import MAX_OFFSET, UNIT, MotionPicture, PictureSyntax
from ..bitstream.patch_payload import PatchRows, pack_rows
from ..entropy.adaptive_bits import BitEncoder
from ..entropy.code_tables import EntropyTables
from ..nn.streaming import State
from ..settings import EncoderSettings, Rate
from ..vision.grouping import padded, to_groups
from ..vision.motion_field import compensate
from ..vision.motion_planes import Planes, to_planes, to_rgb
from ..vision.motion_residual import MAX_STEP, sizes_of, step_size
from ..vision.motion_search import coarse
from ..vision.network import JovioNetwork
from .motion_base import protected_base
from .motion_choice import LAMBDA, Seen, choose_motion, code_picture
from .motion_lookahead import COARSEST, FINEST, Lookahead, Vectors, near_vectors
from .motion_pictures import Decoded, grey
from .motion_plan import DISTANCE, Planned, plan
from .rate_control import RowEncoder

WINDOW_PIXELS = 1 << 25  # of all pictures of a window
WINDOW = 256  # pictures, at most
KEY_SECONDS = 10.0
LONGEST_SECONDS = 1e9  # between key pictures: also what infinity means
MAX_TRIES = 6
TOLERANCE = 0.015  # of a rate
ENOUGH = 2  # parts that show what a window takes
EVEN = 8  # by how much steps may differ within a window that is as it should be
FREEDOM = 12  # by how much they may differ from the one that was meant
HALVES = 13.5  # steps that halve the bits, about
BASE_LAMBDA = 20.0  # of a base beside that of the levels: it is only to be a beginning
CUT, CUT_RATIO = 18.0, 3.0  # change of coarse luma at a cut, and beside that of the picture before
MAX_PICTURE = MAX_PAYLOAD - 4  # bytes of a picture, which a block must hold
COARSER = 6  # steps that a picture is coarser that would take more
BLOCK_BYTES = 18  # of a block without its payload, and in the end record


@dataclass
class _Run:
    """A window as it was coded.

    Attributes:
        state: behind it.
        count: parts that there will be, about.
        parts: its pictures, a few at a time.
        sizes: bits of each part.
        steps: of each part.
    """

    state: Decoded
    count: int
    parts: list[list[MotionPayload]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    @property
    def bits(self) -> float:
        """Of all parts so far."""
        return sum(self.sizes)

    @property
    def mean(self) -> float:
        """The step, on the mean of the bits."""
        return sum(n * s for n, s in zip(self.sizes, self.steps)) / max(self.bits, 1e-9)


class _AnotherStep(Exception):
    """A first run is far from its budget: its argument is the step that would be right."""


def _corrected(step: float, budget: float, halves: float, before: _Run | None) -> Callable[[_Run], float]:
    """The step of the next part, by what is left of the budget and what the window took before."""

    def at(run: _Run) -> float:
        done = len(run.parts)
        if not done:
            return step
        if before is None:
            if done == 1:
                return step
            rest = (run.count - done) * sum(run.sizes[1:]) / (done - 1)
        else:
            rest = sum(n * 2 ** ((s - step) / halves) for n, s in zip(before.sizes[done:], before.steps[done:]))
        left = max(budget - run.bits, budget / 50)
        corrected = step + halves * math.log2(max(rest, 1.0) / left)
        if before is None and done == ENOUGH and abs(corrected - step) > EVEN / 2:
            raise _AnotherStep(step + halves * math.log2((run.bits + rest) / budget))
        return min(max(corrected, step - FREEDOM, -FINEST), step + FREEDOM, MAX_STEP - COARSEST)

    return at


class MotionEncoder:
    """Encodes the pictures of a video for a file.

    Args:
        network: the model, for the bases of key pictures.
        rate: what they may take, see `settings.fitting_rate`; no number of levels.
        size: height and width of the pictures.
        pictures_per_second: of the video.
        settings: of the encoder; None for those of the network.
        tables: entropy tables of the model, if it has any.
        key_seconds: after which a key picture comes at the latest.
    """

    def __init__(
        self,
        network: JovioNetwork,
        rate: Rate,
        size: tuple[int, int],
        pictures_per_second: Fraction,
        *,
        settings: EncoderSettings | None = None,
        tables: EntropyTables | None = None,
        key_seconds: float = KEY_SECONDS,
    ):
        self.network, self.rate, self.size, self.per_second = network, rate, size, pictures_per_second
        self.settings = settings or network.settings
        self.tables = tables
        self.levels = network.n_q
        self.group = 1  # every picture by itself
        self.overhead = 0.0  # bits that the rest of the file takes, out of the same budget
        self.taken = 0  # pictures
        self.key_every = max(1, round(min(key_seconds, LONGEST_SECONDS) * pictures_per_second))
        self._grid = network.grid(*size)
        pixels = 256 * self._grid[0] * self._grid[1]
        self._window_size = max(DISTANCE, min(WINDOW, WINDOW_PIXELS // pixels) // DISTANCE * DISTANCE)
        self._state = Decoded()
        self._waiting: list[Seen] = []  # the pictures of the window
        self._keys: set[int] = set()  # pictures that are to be key pictures
        self._last_key = 0
        self._change = 0.0
        self._before: np.ndarray | None = None  # coarse luma of the last picture
        self._step = self._first_step()
        self._left = 0.0  # bits that earlier windows left over
        self._plan_of_window: list[list[Planned]] = []
        self._ahead: Lookahead | None = None
        self._vectors: Vectors = {}  # of the window, as they were found last
        self._bases: dict[tuple[int, int], tuple[bytes, bool, bytes, Planes]] = {}

    def _first_step(self) -> float:
        if self.rate.bpp is None and self.rate.kbps is None:
            rd_lambda = self.rate.rd_lambda or self.settings.rd_lambda
            return min(max(16 * math.log2(255 * math.sqrt(rd_lambda / LAMBDA)), 0.0), MAX_STEP - 20.0)
        per_pixel = (self.rate.bits(self.size[0] * self.size[1], 100, 100 / float(self.per_second)) or 1.0) / (
            100 * self.size[0] * self.size[1]
        )
        return min(max(90 - HALVES * math.log2(per_pixel / 0.05), 10.0), MAX_STEP - 20.0)

    @property
    def waiting(self) -> int:
        """Pictures of the window that has begun."""
        return len(self._waiting)

    def add(self, picture: Tensor) -> list[MotionRows]:
        """Take a picture [3, H, W]; give the pictures that are done, if any."""
        planes = to_planes(picture.cpu().numpy())
        seen = Seen(planes, coarse(planes.y))
        self._plan(seen)
        self._waiting.append(seen)
        self.taken += 1
        return self._window() if len(self._waiting) >= self._window_size else []

    def finish(self) -> list[MotionRows]:
        """What is left."""
        return self._window() if self._waiting else []

    def _plan(self, seen: Seen) -> None:
        """Whether a picture is to be a key picture: the first, the first behind a cut, and one in so many."""
        change = 0.0 if self._before is None else float(np.abs(seen.small - self._before).mean())
        cut = change > CUT and change > CUT_RATIO * self._change
        if self._before is None or cut or self.taken - self._last_key >= self.key_every:
            self._keys.add(self.taken)
            self._last_key = self.taken
        self._before, self._change = seen.small, change

    def _window(self) -> list[MotionRows]:
        """Code the pictures that wait."""
        count, first = len(self._waiting), self.taken - len(self._waiting)
        seconds = float(count / self.per_second)
        budget = self.rate.bits(self.size[0] * self.size[1], count, seconds)
        self._plan_of_window = plan(first, self.taken, self._keys)
        size = step_size(_whole(self._step), False) / 16
        self._ahead = Lookahead(self._plan_of_window, lambda n: self._seen(n) if n >= first else None, size)
        self._vectors = dict(self._ahead.vectors)
        if budget is None:
            run = self._run(lambda _: self._step)
        else:
            run = self._within(max(budget + self._left - self.overhead, 1.0))
            self.overhead = 0.0
        self._state = run.state
        self._waiting, self._bases, self._vectors, self._ahead = [], {}, {}, None
        self._keys = {k for k in self._keys if k >= self.taken}
        return [MotionRows(part, self._grid[0]) for part in run.parts]

    def _within(self, budget: float) -> _Run:
        """Code the window so that it takes about so many bits."""
        step, halves, best = self._step, HALVES, math.inf
        runs: list[_Run] = []
        chosen = None
        for _ in range(MAX_TRIES):
            try:
                run = self._run(_corrected(step, budget, halves, runs[-1] if runs else None))
            except _AnotherStep as error:
                step = min(max(error.args[0], -FINEST), MAX_STEP - COARSEST)
                continue
            runs.append(run)
            off = abs(math.log(run.bits / budget))
            if off < best:
                best, chosen = off, run
            if best < TOLERANCE and max(run.steps) - min(run.steps) < EVEN:
                break
            if len(runs) > 1 and abs(run.mean - runs[-2].mean) > 1:
                octaves = math.log2(runs[-2].bits / run.bits)
                halves = (run.mean - runs[-2].mean) / octaves if octaves else 0.0  # flat pictures take the same
                halves = min(max(halves, HALVES / 2), 4 * HALVES) if halves > 0 else HALVES
            step = run.mean + halves * math.log2(run.bits / budget)
            above = max((r.mean for r in runs if r.bits > budget), default=-math.inf)
            below = min((r.mean for r in runs if r.bits <= budget), default=math.inf)
            if above < below and not above < step < below:
                step = (above + below) / 2
            step = min(max(step, -FINEST), MAX_STEP - COARSEST)
        if chosen is None:
            chosen = self._run(lambda _: step)
        self._step, self._left = chosen.mean, budget - chosen.bits
        return chosen

    def _run(self, step: Callable[[_Run], float]) -> _Run:
        """Code the window with the step that is said before each part."""
        run = _Run(self._state.copy(), len(self._plan_of_window))
        for planned in self._plan_of_window:
            base = step(run)
            part = [self._picture(run.state, p, base) for p in planned]
            bits = 8 * (sum(len(p.to_bytes()) + 2 for p in part) + BLOCK_BYTES)
            run.parts.append(part)
            run.sizes.append(bits)
            run.steps.append(base)
        return run

    def _picture(self, state: Decoded, planned: Planned, base: float) -> MotionPayload:
        """Code a picture behind `state`, more coarsely if it would not fit a block."""
        assert self._ahead is not None
        wanted = base + self._ahead.offsets[planned.shown]
        step = _whole(float(np.median(wanted)))
        offsets = np.rint((np.clip(wanted, 0, MAX_STEP) - step) / UNIT).clip(-MAX_OFFSET, MAX_OFFSET).astype(np.int8)
        while True:
            trial = state.copy()
            payload = (self._between if planned.references else self._key)(trial, planned, step, offsets)
            if len(payload.to_bytes()) <= MAX_PICTURE or step == MAX_STEP:
                state.syntax, state.kept, state.coded = trial.syntax, trial.kept, trial.coded
                return payload
            step = min(step + COARSER, MAX_STEP)

    def _key(self, state: Decoded, planned: Planned, step: int, offsets: np.ndarray) -> MotionPayload:
        seen = self._seen(planned.shown)
        state.syntax, state.kept = PictureSyntax(*self._grid), {}
        base, coded, parities, prediction = self._base(planned.shown, seen.planes, step)
        picture = MotionPicture.empty(0, 0, *self._grid)
        planes = code_picture(seen, prediction, picture, step, offsets, state.syntax.contexts[0])
        encoder = BitEncoder()
        state.syntax.code(encoder, picture)
        state.keep(planned.shown, planes, 0)
        head = PictureHead(0, step, base=base, coded=coded, parities=parities, varied=True)
        return MotionPayload(head, encoder.finish())

    @torch.no_grad()
    def _base(self, shown: int, planes: Planes, step: int) -> tuple[bytes, bool, bytes, Planes]:
        """The base of a key picture: its payload, whether it is range coded, its parities, and what it shows."""
        rough = step // 8 * 8
        if (shown, rough) not in self._bases:
            network = self.network
            picture = torch.from_numpy(to_rgb(planes, *self.size)).to(network.device)
            groups = to_groups(padded(picture[None, :, None], network.patch), network.config.group)
            encoder = RowEncoder(network, self.settings, self.tables, self.levels)
            rd_lambda = BASE_LAMBDA * LAMBDA * (step_size(rough, False) / 16 / 255) ** 2
            rows: PatchRows = encoder.with_lambda([network.latent(groups, State())[0, 0]], rd_lambda)[0].rows
            payload, coded = pack_rows(rows, self.levels, network.codebook_size, self.tables)
            shows, parities = protected_base(network, rows, *self.size)
            if not parities or not rows.counts.any():
                payload, coded, parities, shows = b"", False, b"", grey(*self._grid)
            self._bases[shown, rough] = payload, coded, parities, shows
        return self._bases[shown, rough]

    def _between(self, state: Decoded, planned: Planned, step: int, offsets: np.ndarray) -> MotionPayload:
        assert state.syntax is not None
        seen, shown, references = self._seen(planned.shown), planned.shown, planned.references
        known = [Seen(state.kept[r], coarse(state.kept[r].y)) for r in references]
        hints = [near_vectors(self._vectors, shown, r) for r in references]
        had = [self._vectors.get((shown, r)) for r in references]
        sizes = sizes_of(step, UNIT * offsets.astype(int))[0] / 16
        motion, found = choose_motion(seen, known, hints, sizes, had)
        self._vectors.update({(shown, r): v for r, v in zip(references, found)})
        picture = MotionPicture.empty(planned.layer, len(references), *self._grid)
        picture.uses, picture.vectors = motion.uses, motion.vectors
        prediction = compensate([r.planes.reference for r in known], motion)
        planes = code_picture(seen, prediction, picture, step, offsets, state.syntax.contexts[planned.layer])
        encoder = BitEncoder()
        state.syntax.code(encoder, picture)
        away = tuple(r - shown for r in references)
        head = PictureHead(planned.layer, step, shown - state.coded, away, varied=True)
        state.keep(shown, planes, planned.layer)
        return MotionPayload(head, encoder.finish())

    def _seen(self, shown: int) -> Seen:
        return self._waiting[shown - self.taken]  # the window ends with the last picture taken


def _whole(step: float) -> int:
    return min(max(round(step), 0), MAX_STEP)
