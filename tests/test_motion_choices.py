"""What the encoder of videos with motion chooses: levels, order, and steps of patches."""

from __future__ import annotations

import math

import numpy as np
from kit.vision import scene

from josiecodec.bitstream import motion_syntax
from josiecodec.bitstream.motion_starts import STARTS
from josiecodec.bitstream.motion_syntax import LevelChances
from josiecodec.coding.motion_choice import Seen
from josiecodec.coding.motion_lookahead import COARSEST, TUNINGS, Lookahead
from josiecodec.coding.motion_plan import plan
from josiecodec.coding.motion_trellis import BlockBits, choose_levels
from josiecodec.entropy.adaptive_bits import BitEncoder, Contexts
from josiecodec.vision.motion_planes import to_planes
from josiecodec.vision.motion_residual import add_residual
from josiecodec.vision.motion_search import coarse

PRICE = 0.09


class Counter(BitEncoder):
    """Adds up bits, and lets nothing adapt."""

    bits = 0.0

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        one = (contexts.fast[index] + contexts.slow[index]) / (1 << 17)
        self.bits -= math.log2(one if bit else 1 - one)
        return bit

    def raw(self, value: int, bits: int) -> int:
        self.bits += bits
        return value


def cost(contexts: Contexts, x: np.ndarray, levels: np.ndarray) -> float:
    counter = Counter()
    if levels.any():
        motion_syntax._block(counter, contexts, levels.tolist(), 0)
    return float(((x - levels) ** 2).sum() + PRICE * counter.bits)


def chances_of(contexts: Contexts) -> LevelChances:
    syntax = motion_syntax.PictureSyntax(1, 1)
    syntax.contexts[1] = contexts
    return syntax.level_chances(1)


def test_no_change_of_one_level_is_better():
    random = np.random.default_rng(0)
    contexts = Contexts(motion_syntax.CONTEXTS, STARTS[1].ljust(motion_syntax.CONTEXTS, b"\x80"))
    x = np.abs(random.laplace(0, 1.2, (12, 64)) * np.exp(-np.arange(64) / 14)).astype(np.float32)
    x[0, 0], x[1, 63] = 90.0, 3.0
    levels, gain = choose_levels(x, BlockBits.of(chances_of(contexts), 0), PRICE)
    for own, chosen, saved in zip(x, levels, gain):
        total = cost(contexts, own, chosen)
        assert abs(total - float((own**2).sum() - saved)) < 0.15
        for k in range(64):
            for more in (-1, 1):
                other = chosen.copy()
                other[k] += more
                if other[k] >= 0 and other.any():
                    assert cost(contexts, own, other) > total - 0.15


def test_pictures_come_after_what_they_are_predicted_from():
    parts = plan(20, 75, {30, 60})
    done = {19}
    for planned in (p for part in parts for p in part):
        assert set(planned.references) <= done
        done.add(planned.shown)
        assert (planned.depth == 0) == (planned.shown in (30, 60)) == (planned.layer == 0)
    assert done == set(range(19, 75))
    used = {r for part in parts for p in part for r in p.references}
    assert not any(p.layer == 2 for part in parts for p in part if p.shown in used)


def test_what_stays_gets_finer_steps_than_what_is_covered():
    x = scene(64, 96, 1)[0, :, 0].numpy()
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(9):
        picture = x.copy()
        picture[:, :, 48:] = random.random((3, 64, 48))  # nothing of this half comes again
        planes = to_planes(picture)
        pictures.append(Seen(planes, coarse(planes.y)))
    ahead = Lookahead(plan(0, 9, {0}), lambda n: pictures[n], 8.0)
    assert ahead.offsets[0][:, 0].max() < COARSEST - 12
    assert ahead.offsets[0][:, -1].min() > COARSEST - 4
    assert np.abs(ahead.offsets[1] - COARSEST).max() < 4  # nothing is predicted from it


def test_faint_texture_that_stays_is_worth_bits():
    """Noise of a camera over still texture that is hardly stronger: a later picture takes it from the first one."""
    random = np.random.default_rng(0)
    texture, pictures = random.normal(0, 2.0, (64, 64)), []
    for _ in range(9):
        grey = np.clip(128 + texture + random.normal(0, 0.3, (64, 64)), 0, 255) / 255
        planes = to_planes(np.stack([grey] * 3).astype(np.float32))
        pictures.append(Seen(planes, coarse(planes.y)))
    offsets = Lookahead(plan(0, 9, {0}), lambda n: pictures[n], 1.0).offsets
    assert offsets[0].mean() < COARSEST - 14


def test_tuned_for_structure_smooth_patches_are_finer():
    x = np.full((3, 64, 64), 0.5, np.float32)
    x[:, :, 32:] = np.random.default_rng(0).random((3, 64, 32))
    planes = to_planes(x)
    seen = Seen(planes, coarse(planes.y))
    gaps = []
    for tune in ("psnr", "ssim"):
        offsets = Lookahead(plan(0, 1, {0}), lambda n: seen, 8.0, TUNINGS[tune]).offsets[0]
        gaps.append(offsets[:, -1].mean() - offsets[:, 0].mean())
    assert gaps[1] > gaps[0] + 8 > 8


def test_steps_of_patches_scale_levels():
    grey = to_planes(np.full((3, 32, 32), 0.5, np.float32))
    levels = np.zeros((2, 2, 6, 64), np.int16)
    levels[..., :4, 0] = 1
    out = add_residual(grey, levels, 72, np.array([[0, 16], [-16, 200]]))
    change = out.y[4::16, 4::16].astype(int) - 128
    assert change[0, 1] > change[0, 0] > change[1, 0]
    alike = add_residual(grey, levels, 88, np.zeros((2, 2), int))
    assert (alike.y[3:6, 19:22] == out.y[3:6, 19:22]).all()
    assert out.y[20, 20] == 255
