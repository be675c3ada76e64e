"""The language model: shapes, what may see what, streams, and that it can learn what its wiring promises."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from kit.lm import CARD, LEVELS, SEEING, TEXT, TINY, VARIANTS, inputs_for, made

from josiecodec.errors import CodesError, ConfigError
from josielm.inference.sampling import Draw, Sampling, draw
from josielm.inference.stream import LMStream, steps_of
from josielm.model.config import StackConfig
from josielm.model.delays import delay, undelay
from josielm.model.language_model import LM, Inputs
from josielm.model.presets import preset
from josielm.training.config import LossConfig
from josielm.training.losses import losses

GREEDY = Sampling(Draw(0), Draw(0), Draw(0))


@pytest.fixture(params=VARIANTS)
def config(request):
    return VARIANTS[request.param]


def test_delays_come_undone():
    rows = torch.arange(24).reshape(1, 3, 8) + 1
    late = delay(rows, [0, 2, 5], start=-1)
    assert late[0, 1].tolist() == [-1, -1, *rows[0, 1, :6].tolist()]
    back, known = undelay(late, [0, 2, 5])
    assert known.sum(1).tolist() == [8, 6, 3]
    assert torch.equal(back[0][known], rows[0][known])
    assert not undelay(late[..., :1], [0, 2, 5])[1][2].any()


def test_logits_belong_to_the_codes_given(config):
    model, inputs = made(config), inputs_for(config)
    out = model(inputs)
    assert out.logits.shape == (2, LEVELS, 9, CARD)
    assert bool(out.logits.isfinite().all())
    for k, by in enumerate(config.level_delays):
        assert out.mask[:, k, : 9 - by].all()
        assert not out.mask[:, k, 9 - by :].any()
    if config.text_head == "none":
        assert out.text_logits is None
    else:
        assert out.text_logits.shape == (2, 9, config.text_rows)
        assert out.text_logits[..., config.text_size + 2 :][out.text_mask].max() == float("-inf")


def test_nothing_sees_what_comes_later(config):
    """Changing one code changes no logits of earlier steps, nor of its own and lower levels in its step."""
    model, inputs = made(config), inputs_for(config, batch=1)
    before = model(inputs).logits
    for level, frame in ((0, 3), (1, 4), (2, 5)):
        codes = inputs.codes.clone()
        codes[0, level, frame] = (codes[0, level, frame] + 1) % CARD
        changed = (model(replace(inputs, codes=codes)).logits - before).abs().amax((0, 3)) > 1e-6
        step = frame + config.level_delays[level]
        for k, by in enumerate(config.level_delays):
            for t in range(9 - by):
                if t + by < step or (t + by == step and k <= level):
                    assert not changed[k, t], (level, frame, k, t)
        assert changed.any()
        if config.level_delays == (0, 0, 0) and level < LEVELS - 1:
            assert changed[level + 1, frame]  # the next level is told at once


def test_the_other_speaker_is_heard_a_frame_later():
    config = VARIANTS["duplex"]
    model, inputs = made(config), inputs_for(config, batch=1)
    user = inputs.user.clone()
    user[0, 0, 4] = (user[0, 0, 4] + 1) % CARD
    changed = (model(replace(inputs, user=user)).logits - model(inputs).logits).abs().amax((0, 3)) > 1e-6
    assert not changed[0, :5].any()
    assert changed[0, 5]


# Streams ----------------------------------------------------------------------------------------------


def streamed(model, inputs, frames, seeds, sampling=GREEDY):
    """Frames said one by one, listening to the user of `inputs`; codes and text of all that are complete."""
    stream = LMStream(model, seeds, sampling, inputs)
    said = []
    for step in range(steps_of(frames, model)):
        heard = inputs.user[..., step - 1] if inputs.user is not None and 0 < step <= frames else None
        frame = stream.step(heard)
        assert (frame is None) == (step < model.config.longest_delay)
        said += [] if frame is None else [frame]
    text = torch.stack([f.text for f in said], -1) if said[0].text is not None else None
    return torch.stack([f.codes for f in said], -1), text


def test_cached_is_uncached(config):
    """What the stream takes for likeliest is what whole-sequence logits say, longer than the cache too."""
    model, frames = made(config), 20
    inputs = inputs_for(config, frames=frames)
    codes, text = streamed(model, inputs, frames, [0, 1])
    own = replace(inputs, codes=codes, text=text)
    out = model(own)
    assert torch.equal(out.logits.argmax(-1)[out.mask], codes[out.mask])
    if text is not None:
        assert torch.equal(out.text_logits.argmax(-1)[out.text_mask], text[out.text_mask])


@pytest.mark.parametrize("name", ["all", "text in depth", "weights per step"])
def test_cached_logits_are_uncached_logits(name, monkeypatch):
    config = VARIANTS[name]
    model, inputs = made(config).double(), inputs_for(config, frames=15)
    seen = []
    monkeypatch.setattr(
        "josielm.inference.stream.draw", lambda logits, how, g: seen.append(logits) or logits.argmax(-1)
    )
    stream = LMStream(model, [0, 1], GREEDY, inputs)
    for t in range(15):
        heard = inputs.user[..., t - 1] if inputs.user is not None and t else None
        text = None if inputs.text is None else inputs.text[:, t]
        stream.step(heard, inputs.codes[..., t], text)
    out, place = model(inputs), 0
    for step in range(15):
        for k, by in enumerate(config.level_delays):
            if step >= by:
                torch.testing.assert_close(seen[place].float(), out.logits[:, k, step - by], atol=2e-6, rtol=1e-5)
                place += 1
    assert place == len(seen)


def test_a_stream_does_not_depend_on_its_neighbours():
    config = VARIANTS["all"]
    model, inputs = made(config), inputs_for(config, batch=3, frames=10)
    both, words = streamed(model, inputs, 10, [5, 6, 7], Sampling())
    for item in range(3):
        one = Inputs(*(x if x is None else x[item : item + 1] for x in vars(inputs).values()))
        codes, text = streamed(model, one, 10, [5 + item], Sampling())
        assert torch.equal(codes[0], both[item])
        assert torch.equal(text[0], words[item])
    assert not torch.equal(both[0], both[1])


def test_a_batch_is_its_items():
    config = VARIANTS["all"]
    model, inputs = made(config).double(), inputs_for(config, batch=3)
    whole = model(inputs)
    for item in range(3):
        one = model(Inputs(*(x if x is None else x[item : item + 1] for x in vars(inputs).values())))
        torch.testing.assert_close(one.logits[0], whole.logits[item], atol=1e-6, rtol=1e-6)


def test_padding_changes_nothing():
    config = VARIANTS["all"]
    model, inputs = made(config).double(), inputs_for(config)
    absent = torch.full_like(inputs.codes, model.ids.absent)
    more = replace(
        inputs,
        codes=torch.cat([inputs.codes, absent], -1),
        user=torch.cat([inputs.user, absent], -1),
        text=torch.cat([inputs.text, torch.full_like(inputs.text, model.ids.text_absent)], -1),
        vision=torch.cat([torch.full_like(inputs.vision, CARD + 1), inputs.vision], -1),
        grid=torch.cat([inputs.grid, inputs.grid], 1),
    )
    out, alone = model(more), model(inputs)
    torch.testing.assert_close(out.logits[:, 0, :9], alone.logits[:, 0], atol=1e-6, rtol=1e-6)
    assert not out.mask[..., 9:].any()


def test_no_codec_is_handed_an_id_it_lacks():
    """Random weights, hot draws, every delay: codes stay codes and text stays text."""
    for name in ("delayed", "all", "text in depth", "v4o"):
        config = VARIANTS[name]
        model = made(config)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(3.0)
        hot = Draw(5.0, 0)
        inputs = inputs_for(config, batch=4, frames=60)
        codes, text = streamed(model, inputs, 60, [1, 2, 3, 4], Sampling(hot, hot, hot))
        assert 0 <= int(codes.min()) <= int(codes.max()) < CARD
        assert text is None or (int(text.min()) >= 0 and int(text.max()) < model.ids.text_start)


def test_draws_follow_temperature_and_top_k():
    g = [torch.Generator().manual_seed(n) for n in range(2000)]
    logits = torch.tensor([0.0, 1.0, 2.0, 3.0]).repeat(2000, 1)
    assert set(draw(logits, Draw(1.0, 2), g).tolist()) == {2, 3}
    share = torch.bincount(draw(logits, Draw(1.0, 0), g), minlength=4) / 2000
    torch.testing.assert_close(share, logits[0].softmax(-1), atol=0.04, rtol=0)
    assert draw(logits, Draw(0.0, 0), g).unique().tolist() == [3]
    with pytest.raises(ConfigError):
        Draw(-1.0)


# What may be missing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [c for n in range(1, 5) for c in itertools.combinations(("codes", "text", "user", "vision"), n)]
)
def test_any_modality_may_be_missing(given):
    config = VARIANTS["all"]
    model, inputs = made(config).train(), inputs_for(config)
    kept = {k: v if k in given or (k == "grid" and "vision" in given) else None for k, v in vars(inputs).items()}
    out = model(Inputs(**kept))
    assert bool(out.logits.isfinite().all())
    assert bool(out.mask.any()) == ("codes" in given)
    assert bool(out.text_mask.any()) == ("text" in given)
    loss = losses(model, Inputs(**kept)).total(LossConfig())
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_a_part_may_be_missing_here_and_there():
    config = VARIANTS["all"]
    model, inputs = made(config), inputs_for(config)
    codes, text = inputs.codes.clone(), inputs.text.clone()
    codes[0, :, 3:5], text[1, 2:] = model.ids.absent, model.ids.text_absent
    out = model(replace(inputs, codes=codes, text=text))
    assert not out.mask[0, :, 3:5].any()
    assert not out.text_mask[1, 2:].any()
    counted = losses(model, replace(inputs, codes=codes, text=text))
    assert counted.counts[0] == 16
    assert counted.counts[-3:-1].sum() == 2 * 8 - 6  # the text is put off by a frame, so the last one drops out
    learn = torch.zeros(2, 9, dtype=torch.bool)
    learn[:, 4] = True
    assert losses(model, replace(inputs, learn=learn)).counts[:LEVELS].tolist() == [2, 2, 2]


def test_what_does_not_fit_is_refused():
    model, inputs = made(VARIANTS["plain"]), inputs_for(VARIANTS["plain"])
    good = inputs.codes
    for bad, text in (
        (Inputs(), "give codes"),
        (Inputs(codes=good[:, :2]), "must be"),
        (Inputs(codes=good.float()), "integers"),
        (Inputs(codes=good + CARD), "ids in"),
        (Inputs(codes=good[..., :0]), "empty"),
        (Inputs(codes=good, user=good), "one stream"),
        (Inputs(codes=good, text=good[:, 0]), "no text"),
        (Inputs(codes=good, vision=good, grid=torch.zeros(2, 9, 3)), "no pictures"),
    ):
        with pytest.raises(CodesError, match=text):
            model(bad)
    seeing = made(replace(TINY, vision=SEEING))
    with pytest.raises(CodesError, match="grid"):
        seeing(Inputs(codes=good, vision=good[:, :2]))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_q": 0}, "n_q"),
        ({"streams": 3}, "streams"),
        ({"delays": (0, 1)}, "delays"),
        ({"delays": (1, 0, 1)}, "semantic"),
        ({"text_head": "depth"}, "text_size"),
        ({"text_delay": -1}, "text_delay"),
        ({"semantic": "split", "text_head": "depth", "text_size": 9}, "split"),
        ({"text_column": True}, "text_column"),
    ],
)
def test_wrong_settings_are_named(changes, text):
    with pytest.raises(ConfigError, match=text):
        replace(TINY, **changes)


# Learning -------------------------------------------------------------------------------------------------

EIGHT = 8
WIDE = replace(
    preset("tiny").with_levels(4, EIGHT),
    temporal=StackConfig(dim=48, layers=2, heads=2, hidden=96),
    depth=StackConfig(dim=48, layers=1, heads=2, hidden=96),
)


def trained(config, batches, steps, fraction=1.0):
    """Nats per code by name, after so many steps on made-up batches."""
    torch.manual_seed(0)
    model = LM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        losses(model, batches(random), fraction, random).total(LossConfig()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return losses(model.eval(), batches(random)).means()


@pytest.mark.parametrize("weights", ["shared", "per_step"])
def test_a_level_can_be_learnt_from_the_level_below(weights):
    """a_k = f(a_{k-1}) with a_0 at random: nothing but the previous step of the same frame tells it."""
    tables = torch.stack([torch.randperm(EIGHT, generator=torch.Generator().manual_seed(k)) for k in range(4)])

    def batch(random):
        levels = [torch.randint(0, EIGHT, (8, 12), generator=random)]
        for k in range(1, 4):
            levels.append(tables[k][levels[-1]])
        return Inputs(codes=torch.stack(levels, 1))

    nll = trained(replace(WIDE, depth_weights=weights, delays=(0, 0, 0, 0)), batch, 150, fraction=0.5)
    assert max(nll[f"level_{k}"] for k in (1, 2, 3)) < 0.02
    assert nll["level_0"] > 1.95  # ln 8 = 2.08: nothing can be known of it


def test_what_was_said_some_frames_ago_can_be_copied():
    def batch(random):
        first = torch.randint(0, EIGHT, (16, 4, 3), generator=random)
        codes = first.repeat(1, 1, 4)
        learn = torch.ones(16, 12, dtype=torch.bool)
        learn[:, :3] = False
        return Inputs(codes=codes, learn=learn)

    nll = trained(replace(WIDE, delays=(0, 1, 1, 1)), batch, 260)
    assert max(nll.values()) < 0.05


def test_the_other_speaker_can_be_repeated():
    """Full duplex: what is heard in a frame is said in the next one."""
    config = replace(WIDE, streams=2)

    def batch(random):
        user = torch.randint(0, EIGHT, (16, 4, 10), generator=random)
        learn = torch.ones(16, 10, dtype=torch.bool)
        learn[:, 0] = False
        return Inputs(codes=user.roll(1, -1), user=user, learn=learn)

    assert max(trained(config, batch, 120).values()) < 0.05


def test_text_can_be_learnt_from_sound_and_sound_from_text():
    """The text of a frame tells its semantic code, whichever transformer writes the text."""
    for head in ("temporal", "depth"):
        config = replace(WIDE, text_head=head, text_size=EIGHT)

        def batch(random):
            codes = torch.randint(0, EIGHT, (8, 4, 8), generator=random)
            return Inputs(codes=codes, text=(codes[:, 0] + 3) % EIGHT)

        nll = trained(config, batch, 130)
        assert nll["level_0"] < 0.05
        assert nll["text"] > 1.9


def test_text_ids_stay_in_their_range():
    config = VARIANTS["text"]
    assert config.text_rows == TEXT + 4
    ids = made(config).ids
    assert len({ids.start, ids.absent}) == 2
    assert min(ids.start, ids.absent) >= CARD
    assert min(ids.silence, ids.word, ids.text_start, ids.text_absent) >= TEXT
