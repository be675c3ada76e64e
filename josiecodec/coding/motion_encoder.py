"""From pictures to a video with motion at a wanted rate.

Pictures come in windows of some seconds. A forecast says with which step a window will fit; it is corrected after every
few pictures, and where the first of them show that it was far off, or the whole does not fit, the window is coded
again. Within a window all patches have the same step, but for what the lookahead gives: what others are predicted from
is finer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ..bitstream.container import MAX_PAYLOAD
from ..bitstream.motion_mixed import MixedSyntax, shaped, syntax_of
from ..bitstream.motion_payload import CARRIED, MIXED, SHAPES, STILL, WEAK, MotionPayload, MotionRows, PictureHead
from ..bitstream.motion_syntax import MAX_OFFSET, UNIT, MotionPicture
from ..entropy.adaptive_bits import BitEncoder
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings, Rate
from ..vision.motion_field import MotionField, compensate
from ..vision.motion_planes import to_planes
from ..vision.motion_residual import MAX_STEP, sizes_of, step_size
from ..vision.motion_search import coarse
from .motion_choice import LAMBDA, Seen, choose_motion, code_picture, squared_error
from .motion_filter import best_filtered
from .motion_flat import flat_patches, within_reach, wrong_flats
from .motion_keys import KeyBases, VideoNetwork
from .motion_lookahead import TUNINGS, Lookahead, Vectors, near_vectors
from .motion_pictures import Decoded, grey
from .motion_plan import DISTANCE, Planned, plan
from .motion_rate import EVEN, LEAST, MOST, OFF, Course, Forecast
from .motion_stills import KeyStills

TOOLS = MIXED | SHAPES | CARRIED  # of all videos
WINDOW_PIXELS = 1 << 25  # of all pictures of a window
WINDOW = 256  # pictures, at most
KEY_SECONDS = 10.0
LONGEST_SECONDS = 1e9  # between key pictures: also what infinity means
MAX_TRIES, MORE_TRIES = 4, 2  # the latter where a window is still far from its budget
TOLERANCE, LOOSE = 0.015, 0.05  # of a rate, in the last window and in those that others can make up for
HALVES = 13.5  # steps that halve the bits, about
CUT, CUT_RATIO = 18.0, 3.0  # change of coarse luma at a cut, and beside that of the picture before
MAX_PICTURE = MAX_PAYLOAD - 4  # bytes of a picture, which a block must hold
COARSER = 6  # steps that a picture is coarser that would take more
SAME_MOTION = 2  # by how much steps may differ for a picture to keep its motion when it is coded again
BLOCK_BYTES = 18  # of a block without its payload, and in the end record


@dataclass
class _Run:
    """A window as it was coded.

    Attributes:
        state: behind it.
        parts: its pictures, a few at a time.
    """

    state: Decoded
    parts: list[list[MotionPayload]] = field(default_factory=list)


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
        stills: whether key pictures are coded as still pictures, if the model has a detail layer.
    """

    def __init__(
        self,
        network: VideoNetwork,
        rate: Rate,
        size: tuple[int, int],
        pictures_per_second: Fraction,
        *,
        settings: EncoderSettings | None = None,
        tables: EntropyTables | None = None,
        key_seconds: float = KEY_SECONDS,
        stills: bool = True,
    ):
        self.network, self.rate, self.size, self.per_second = network, rate, size, pictures_per_second
        self.settings = settings or network.settings
        self.tables = tables
        self.levels = network.n_q
        self.group = 1  # every picture by itself
        self.overhead = 0.0  # bits that the rest of the file takes, out of the same budget
        self.taken = 0  # pictures
        self._seconds = 0.0  # that those of the window are shown
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
        self._ratios = np.ones(3)
        self._plan_of_window: list[list[Planned]] = []
        self._ahead: Lookahead | None = None
        self._vectors: Vectors = {}  # of the window, as they were found last
        self._fields: dict[int, tuple[MotionField, int]] = {}  # of its pictures, and for which step
        self._bases = KeyBases(network, self.settings, tables, size)
        self._stills = (
            KeyStills(network, self.settings, tables, size) if stills and network.detail is not None else None
        )

    def _first_step(self) -> float:
        if self.rate.bpp is None and self.rate.kbps is None:
            rd_lambda = self.rate.rd_lambda or self.settings.rd_lambda
            return min(max(16 * math.log2(255 * math.sqrt(rd_lambda / LAMBDA)), LEAST), MOST)
        per_pixel = (self.rate.bits(self.size[0] * self.size[1], 100, 100 / float(self.per_second)) or 1.0) / (
            100 * self.size[0] * self.size[1]
        )
        return min(max(90 - HALVES * math.log2(per_pixel / 0.05), LEAST), MOST)  # for the lookahead

    @property
    def waiting(self) -> int:
        """Pictures of the window that has begun."""
        return len(self._waiting)

    def add(self, picture: np.ndarray, seconds: float | None = None) -> list[MotionRows]:
        """Take a picture [3, H, W] in [0, 1], shown for so many seconds; give the pictures that are done, if any."""
        self._seconds += float(1 / self.per_second) if seconds is None else seconds
        planes = to_planes(np.asarray(picture))
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
        budget = self.rate.bits(self.size[0] * self.size[1], count, self._seconds)
        self._seconds = 0.0
        self._plan_of_window = plan(first, self.taken, self._keys, self._state.kept)
        size = step_size(_whole(self._step), False) / 16
        self._ahead = Lookahead(
            self._plan_of_window, lambda n: self._seen(n) if n >= first else None, size, TUNINGS[self.settings.tune]
        )
        self._vectors = dict(self._ahead.vectors)
        if budget is None:
            run = self._run(None) or _Run(self._state)
        else:
            run = self._within(max(budget + self._left - self.overhead, 1.0), len(self._waiting) < self._window_size)
            self.overhead = 0.0
        self._state = run.state
        self._waiting, self._vectors, self._fields, self._ahead = [], {}, {}, None
        self._bases.forget()
        if self._stills:
            self._stills.forget()
        self._keys = {k for k in self._keys if k >= self.taken}
        return [MotionRows(part, self._grid[0]) for part in run.parts]

    def _within(self, budget: float, final: bool) -> _Run:
        """Code the window so that it takes about so many bits."""
        assert self._ahead is not None
        forecast = Forecast([p for part in self._plan_of_window for p in part], self._ahead)
        best, chosen, before = math.inf, None, None
        for n in range(MAX_TRIES + MORE_TRIES):
            if n >= MAX_TRIES and best < LOOSE:
                break
            course = Course(forecast, budget, self._ratios, before)
            run = self._run(course, before is None and n < MAX_TRIES // 2)
            if run is None:  # far from the budget
                self._ratios = course.ratios
                continue
            before = course
            off = abs(math.log(course.bits / budget))
            if off < best:
                best, chosen = off, (run, course)
            if best < (TOLERANCE if final else LOOSE) and course.spread < EVEN:
                break
        assert chosen is not None
        self._ratios, self._left = chosen[1].ratios, budget - chosen[1].bits
        return chosen[0]

    def _run(self, course: Course | None, again: bool = False) -> _Run | None:
        """Code the window with the steps of a course, or with the same all over.

        None if `again` is allowed, and the first parts show that another step should have been used.
        """
        run = _Run(self._state.copy())
        for number, planned in enumerate(self._plan_of_window):
            limit = OFF[number - 1] if course and again and 1 <= number <= len(OFF) else math.inf
            if course and abs(course.next_step() - course.start) > limit:
                return None
            run.parts.append([])
            for n, p in enumerate(planned):
                if course and (not n or number == len(self._plan_of_window) - 1):
                    self._step = course.next_step()
                payload = self._picture(run.state, p, self._step)
                run.parts[-1].append(payload)
                if course:
                    course.took(self._step, 8 * (len(payload.to_bytes()) + 2 + (0 if n else BLOCK_BYTES)))
        return run

    def _picture(self, state: Decoded, planned: Planned, base: float) -> MotionPayload:
        """Code a picture behind `state`, more coarsely if it would not fit a block."""
        assert self._ahead is not None
        wanted = base + self._ahead.offsets[planned.shown]
        step = _whole(float(np.median(wanted)))
        offsets = np.rint((np.clip(wanted, 0, MAX_STEP) - step) / UNIT).clip(-MAX_OFFSET, MAX_OFFSET).astype(np.int8)
        while True:
            trial = state.copy()
            payload = (
                self._between(trial, planned, step, offsets)
                if planned.references
                else self._key(trial, planned, step, offsets, wanted)
            )
            if len(payload.to_bytes()) <= MAX_PICTURE or step == MAX_STEP:
                state.syntax, state.kept, state.coded = trial.syntax, trial.kept, trial.coded
                return payload
            step, wanted = min(step + COARSER, MAX_STEP), wanted + COARSER

    def _key(
        self, state: Decoded, planned: Planned, step: int, offsets: np.ndarray, wanted: np.ndarray
    ) -> MotionPayload:
        assert self._ahead is not None
        seen = self._seen(planned.shown)
        flat = flat_patches(seen.planes).any()
        still = None
        if self._stills and not flat:  # a still picture makes flat colours uneven, too
            still = self._stills.still(planned.shown, seen.planes, wanted, self._ahead.errors(planned))
        if still:
            base, coded, parities, planes = still
            head = PictureHead(0, step, base=base, coded=coded, parities=parities, tools=TOOLS | STILL)
            state.syntax, state.kept = syntax_of(*self._grid, TOOLS), {}
            state.keep(planned.shown, planes, 0)
            return MotionPayload(head, b"")
        bases = [self._bases.base(planned.shown, seen.planes, step)]
        if bases[0][0] and flat:  # a base makes flat colours uneven
            bases.append((b"", False, b"", grey(*self._grid)))
        price = 8 * LAMBDA * (step_size(step, False) / 16) ** 2  # of a byte
        tried = []
        for base, coded, parities, prediction in bases:
            syntax, picture = (
                syntax_of(*self._grid, TOOLS),
                MotionPicture.empty(0, 0, *self._grid, shaped=bool(TOOLS & SHAPES)),
            )
            fine, own = within_reach(seen.planes, prediction, step, offsets, True)
            planes = code_picture(seen, prediction, picture, fine, own, syntax.level_chances(0))
            planes, strength = best_filtered(seen.planes, planes, fine, picture)
            encoder = BitEncoder()
            syntax.code(encoder, picture, fine)
            head = PictureHead(
                0, fine, base=base, coded=coded, parities=parities, varied=True, tools=TOOLS | strength * WEAK
            )
            payload = MotionPayload(head, encoder.finish())
            cost = squared_error(seen.planes, planes) + price * len(payload.to_bytes())
            tried.append((wrong_flats(seen.planes, planes, True).sum(), cost, payload, planes, syntax))
        *_, payload, planes, syntax = min(tried, key=lambda t: t[:2])
        state.syntax, state.kept = syntax, {}
        state.keep(planned.shown, planes, 0)
        return payload

    def _between(self, state: Decoded, planned: Planned, step: int, offsets: np.ndarray) -> MotionPayload:
        assert isinstance(state.syntax, MixedSyntax)
        seen, shown, references = self._seen(planned.shown), planned.shown, planned.references
        known = [Seen(state.kept[r], coarse(state.kept[r].y)) for r in references]
        away = tuple(r - shown for r in references)
        motion, at = self._fields.get(shown, (None, 0))
        if motion is None or abs(step - at) > SAME_MOTION:
            hints = [near_vectors(self._vectors, shown, r) for r in references]
            had = [self._vectors.get((shown, r)) for r in references]
            sizes = sizes_of(step, UNIT * offsets.astype(int))[0] / 16
            carried = state.syntax.carried(shown, away)
            motion, found = choose_motion(seen, known, hints, sizes, had, motion is not None, carried)
            self._vectors.update({(shown, r): v for r, v in zip(references, found)})
            self._fields[shown] = motion, step
        picture = MotionPicture.empty(planned.layer, len(references), *self._grid, shaped=shaped(state.syntax))
        picture.uses, picture.vectors = motion.uses, motion.vectors
        picture.shown, picture.sources = shown, away
        prediction = compensate([r.planes.reference for r in known], motion)
        step, offsets = within_reach(seen.planes, prediction, step, offsets, False)
        planes = code_picture(seen, prediction, picture, step, offsets, state.syntax.level_chances(planned.layer))
        planes, strength = best_filtered(seen.planes, planes, step, picture)
        encoder = BitEncoder()
        state.syntax.code(encoder, picture, step)
        head = PictureHead(planned.layer, step, shown - state.coded, away, varied=True, tools=strength * WEAK)
        state.keep(shown, planes, planned.layer)
        return MotionPayload(head, encoder.finish())

    def _seen(self, shown: int) -> Seen:
        return self._waiting[shown - self.taken]  # the window ends with the last picture taken


def _whole(step: float) -> int:
    return min(max(round(step), 0), MAX_STEP)
