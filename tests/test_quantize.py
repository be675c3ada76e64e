"""Codebooks: coding, learning, restarting, and the gradient through them."""

from __future__ import annotations

import pytest
import torch

from josiecodec.quantization.beam_search import _greatest, beam_encode, beam_search
from josiecodec.quantization.kmeans import kmeans
from josiecodec.quantization.rvq import ResidualVectorQuantizer
from josiecodec.quantization.vq import VectorQuantizer, codebook_statistics

KINDS = {
    "ema": {"update": "ema"},
    "ema-projected": {"update": "ema", "code_dim": 4},
    "factorised": {"update": "gradient", "code_dim": 4, "normalize": True},
}


@pytest.fixture(params=KINDS)
def settings(request):
    return {"codebook_size": 32, **KINDS[request.param]}


def test_a_code_decodes_to_the_nearest_entry(settings):
    vq = VectorQuantizer(8, **settings).eval()
    x = torch.randn(2, 50, 8)
    codes = vq.encode(x)
    z, entries = vq.to_code_space(x), vq.codes_in_use()
    expected = torch.cdist(z.reshape(-1, z.shape[-1]), entries).argmin(-1).view(2, 50)
    assert torch.equal(codes, expected)
    assert vq.decode(codes).shape == x.shape


def test_decoding_twice_changes_nothing(settings):
    if settings.get("code_dim"):
        pytest.skip("a projection is not its own inverse")
    vq = VectorQuantizer(8, **settings).eval()
    codes = vq.encode(torch.randn(1, 30, 8))
    assert torch.equal(vq.encode(vq.decode(codes)), codes)


def test_the_gradient_goes_straight_through(settings):
    rvq = ResidualVectorQuantizer(8, 3, **settings).train()
    x = torch.randn(2, 10, 8, requires_grad=True)
    out = rvq(x, torch.tensor([3, 3]))
    out.vectors.sum().backward()
    if settings.get("code_dim"):
        assert x.grad.abs().sum() > 0
    else:  # once, not once a level
        torch.testing.assert_close(x.grad, torch.ones_like(x))


def test_training_and_coding_agree(settings):
    rvq = ResidualVectorQuantizer(8, 3, rvq_dim=6, **settings).eval()
    x = torch.randn(2, 10, 8)
    out = rvq(x, torch.tensor([3, 3]))
    codes = rvq.encode(x, 3)
    assert torch.equal(out.codes, codes)
    torch.testing.assert_close(out.vectors, rvq.decode(codes), atol=1e-5, rtol=1e-5)


def test_fewer_levels_are_a_prefix(settings):
    rvq = ResidualVectorQuantizer(8, 4, **settings).eval()
    x = torch.randn(1, 20, 8)
    assert torch.equal(rvq.encode(x, 4)[..., :2], rvq.encode(x, 2))
    assert rvq.encode(x, 0).shape == (1, 20, 0)
    assert torch.equal(rvq.decode(rvq.encode(x, 0)), torch.zeros(1, 20, 8))


def test_levels_refine():
    rvq = ResidualVectorQuantizer(8, 6, codebook_size=64)
    x = torch.randn(4000, 8)
    rvq.initialise(x)
    rvq.eval()
    codes = rvq.encode(x[None], 6)
    errors = [float((rvq.decode(codes[..., :n])[0] - x).square().mean()) for n in range(1, 7)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]


def test_deep_levels_can_share_a_codebook():
    rvq = ResidualVectorQuantizer(8, 10, codebook_size=64, shared_from=3)
    assert len(rvq.quantizers) == 4
    x = torch.randn(6000, 8) * torch.linspace(2, 0.5, 8)
    rvq.initialise(x)
    rvq.eval()
    codes = rvq.encode(x[None], 10)
    errors = [float((rvq.decode(codes[..., :n])[0] - x).square().mean()) for n in range(1, 11)]
    assert errors == sorted(errors, reverse=True)
    assert errors[9] < 0.5 * errors[4]
    rvq.train()
    before = rvq.size.clone()
    rvq(3 * x[None, :500], torch.tensor([10]))
    assert (rvq.size[:3] == before[:3]).all()
    assert (rvq.size[3:] > before[3:]).all()


def test_vectors_of_an_item_use_their_own_number_of_levels():
    rvq = ResidualVectorQuantizer(8, 4, codebook_size=32).eval()
    x = torch.randn(1, 3, 8)
    out = rvq(x, torch.tensor([[0, 2, 4]]))
    for place, levels in enumerate((0, 2, 4)):
        expected = rvq.decode(rvq.encode(x, levels))[0, place]
        torch.testing.assert_close(out.vectors[0, place], expected, atol=1e-5, rtol=1e-5)


def test_items_use_their_own_number_of_levels():
    rvq = ResidualVectorQuantizer(8, 4, codebook_size=32).eval()
    x = torch.randn(3, 10, 8)
    out = rvq(x, torch.tensor([0, 2, 4]))
    assert torch.equal(out.vectors[0], torch.zeros(10, 8))
    for item, levels in ((1, 2), (2, 4)):
        expected = rvq.decode(rvq.encode(x[item : item + 1], levels))[0]
        torch.testing.assert_close(out.vectors[item], expected, atol=1e-5, rtol=1e-5)


def test_items_left_out_teach_nothing():
    a, b = (VectorQuantizer(4, codebook_size=16).train() for _ in range(2))
    b.load_state_dict(a.state_dict())
    b.reset_statistics()
    a.reset_statistics()
    a.restart_below = b.restart_below = 0.0
    x = torch.randn(2, 30, 4)
    a(x, torch.tensor([[True], [False]]))
    b(x[:1])
    torch.testing.assert_close(a.codebook.weight, b.codebook.weight)


def test_averages_move_towards_the_data():
    vq = VectorQuantizer(2, codebook_size=4, decay=0.5).train()
    centers = torch.tensor([[3.0, 0], [-3, 0], [0, 3], [0, -3]])
    for _ in range(60):
        x = centers[torch.randint(4, (200,))] + 0.1 * torch.randn(200, 2)
        vq(x[None])
    assert torch.cdist(centers, vq.codebook.weight.detach()).min(1).values.max() < 0.2


def test_averages_reach_back_over_a_number_of_vectors():
    """However few vectors a step brings, a code is the mean of about so many of the last ones."""
    moved = []
    for items in (1, 16):
        torch.manual_seed(0)
        vq = VectorQuantizer(4, 16, update="ema", decay=0.5, window=50).train()
        before = vq.codebook.weight.clone()
        for _ in range(64 // items):
            vq(before.repeat(items, 1, 1) + 0.01)
        moved.append(float((vq.codebook.weight - before).mean()) / 0.01)
    # 64 vectors a code at a window of 50: 1 - 0.98^64, and in four steps 1 - 0.68^4.
    assert moved == pytest.approx([0.73, 0.79], abs=0.03)


def test_dead_codes_come_back():
    vq = VectorQuantizer(2, codebook_size=16, decay=0.8).train()
    with torch.no_grad():
        vq.codebook.weight[1:] = 1000.0
        vq.reset_statistics()
    for _ in range(60):
        vq(torch.randn(1, 400, 2))
    assert torch.bincount(vq.encode(torch.randn(1, 4000, 2))[0], minlength=16).gt(0).all()


def test_evaluation_does_not_learn(settings):
    vq = VectorQuantizer(8, **settings).eval()
    before = vq.codebook.weight.clone()
    vq(torch.randn(1, 100, 8))
    assert torch.equal(vq.codebook.weight, before)


def test_kmeans_finds_clusters_and_survives_few_points():
    random = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(100, 3) * 0.01 + c for c in (0.0, 5.0, 10.0)])
    centers, counts = kmeans(x, 12, generator=random)
    assert counts.sum() == 300
    assert torch.cdist(x, centers).min(1).values.max() < 0.1
    centers, _ = kmeans(x[:2], 8, generator=random)
    assert centers.isfinite().all()


def test_statistics():
    even = codebook_statistics(torch.ones(8))
    assert even["entropy_bits"] == pytest.approx(3)
    assert even["perplexity"] == pytest.approx(8)
    one = codebook_statistics(torch.tensor([5.0, 0, 0, 0]))
    assert one["used"] == 0.25
    assert one["entropy_bits"] == pytest.approx(0)


def test_codes_are_the_nearest_after_a_fused_optimizer_moved_them():
    vq = VectorQuantizer(8, codebook_size=32, update="gradient").train()
    optimizer = torch.optim.AdamW(vq.parameters(), lr=0.1, fused=True)
    x = torch.randn(1, 500, 8)
    for _ in range(10):
        optimizer.zero_grad()
        vq(x).loss.backward()
        optimizer.step()
    nearest = torch.cdist(x[0], vq.codebook.weight).argmin(-1)
    assert (vq.nearest(x)[0] == nearest).float().mean() > 0.99
    assert (vq.eval().nearest(x)[0] == nearest).float().mean() > 0.99


def test_a_quantizer_made_in_inference_mode_works():
    with torch.inference_mode():
        vq = VectorQuantizer(8, codebook_size=32).eval()
        assert vq.encode(torch.randn(1, 5, 8)).shape == (1, 5)


def test_codes_are_placed_over_what_goes_on_alone():
    x = torch.cat([torch.randn(6000, 4), 100 * torch.randn(6000, 4)])
    enough = torch.full((12000,), 40.0)
    plain, chosen = (ResidualVectorQuantizer(4, 2, codebook_size=16, update="ema") for _ in range(2))
    plain.initialise(x, torch.Generator().manual_seed(0))
    chosen.initialise(x, torch.Generator().manual_seed(0), enough)
    errors = []
    for rvq in (plain, chosen):
        busy = x[6000:][None]
        errors.append(float((rvq.decode(rvq.encode(busy, 2)) - busy).square().mean()))
    assert errors[1] < errors[0]


def test_a_search_with_one_beam_takes_the_nearest_code():
    rvq = ResidualVectorQuantizer(8, 5, codebook_size=32, shared_from=3, update="ema").eval()
    x = torch.randn(50, 8)
    rvq.initialise(torch.randn(2000, 8), torch.Generator().manual_seed(0))
    found = beam_search(rvq, x, 5, 1)
    assert torch.equal(found.path(torch.full((50,), 5)), rvq.encode(x[None], 5)[0])
    counts = torch.randint(0, 6, (50,))
    path = found.path(counts)
    for row, n in enumerate(counts.tolist()):
        assert torch.equal(path[row, :n], rvq.encode(x[None, row : row + 1], n)[0, 0])
        assert not path[row, n:].any()


def test_more_beams_find_better_codes_and_know_how_good_they_are():
    rvq = ResidualVectorQuantizer(8, 6, codebook_size=32, update="ema").eval()
    rvq.initialise(torch.randn(2000, 8), torch.Generator().manual_seed(0))
    x = torch.randn(200, 8)
    means = []
    for beams in (1, 2, 8):
        found = beam_search(rvq, x, 6, beams)
        for n in (1, 3, 6):
            decoded = rvq.decode(found.path(torch.full((200,), n))[None, :, :n])[0]
            assert torch.allclose((decoded - x).square().sum(-1), found.errors[:, n], atol=1e-4)
        means.append(float(found.errors[:, 6].mean()))
    assert means[2] < means[1] < 0.97 * means[0]
    # Vectors that are good enough are left alone, and what is found does not depend on the vectors beside.
    enough = torch.full((200,), float(found.errors[:, 3].median()))
    some = beam_search(rvq, x, 6, 8, 0, enough)
    assert some.errors[:, 6].isinf().any()
    assert torch.equal(beam_search(rvq, x[7:9], 6, 8).path(torch.full((2,), 6)), found.path(torch.full((200,), 6))[7:9])
    deep = beam_search(rvq, x, 6, 2, start=4)
    assert deep.errors[:, :3].isfinite().all()
    assert deep.errors[:, 3:].isinf().all()


@pytest.mark.parametrize("beams", [2, 5, 16])
@pytest.mark.parametrize("size", [32, 256])
def test_codes_of_all_levels_are_those_that_the_search_ends_with(beams, size):
    rvq = ResidualVectorQuantizer(8, 5, codebook_size=size, shared_from=3, rvq_dim=6, update="ema").eval()
    rvq.initialise(torch.randn(2000, 8), torch.Generator().manual_seed(0))
    x = torch.randn(3, 70, 8)
    codes = beam_encode(rvq, x, 5, beams)
    found = beam_search(rvq, rvq.enter(x).flatten(0, 1), 5, beams).path(torch.full((210,), 5))
    assert torch.equal(codes.flatten(0, 1), found)
    assert torch.equal(beam_encode(rvq, x[1:2, 3:5], 5, beams), codes[1:2, 3:5])  # whatever is beside


@pytest.mark.parametrize("shape", [(20, 1, 64), (20, 4, 2048), (7, 3, 50), (5, 2, 16)])
def test_the_greatest_numbers_are_found(shape):
    x, offset = torch.randn(shape), 3 * torch.randn(shape[:2])
    for count in (1, 4, 9):
        known = (x + offset.unsqueeze(-1)).flatten(1).topk(count)
        values, places = _greatest(x, offset, count)
        assert torch.equal(values, known.values)
        assert torch.equal(places, known.indices)


def test_some_items_have_fewer_levels():
    rvq = ResidualVectorQuantizer(8, 4, codebook_size=32, update="ema").eval()
    codes = torch.randint(0, 32, (3, 5, 4))
    some = rvq.decode(codes, torch.tensor([4, 2, 0]))
    assert torch.equal(some[0], rvq.decode(codes[:1])[0])
    assert torch.equal(some[1], rvq.decode(codes[1:2, :, :2])[0])
    assert not some[2].any()


def test_costly_codes_are_taken_only_where_that_pays():
    rvq = ResidualVectorQuantizer(8, 4, codebook_size=32, shared_from=2, update="ema").eval()
    rvq.initialise(torch.randn(2000, 8), torch.Generator().manual_seed(0))
    x = torch.randn(200, 8)
    costs_of_codes = [0.5 * torch.rand(32) for _ in range(4)]

    def costs(found):
        codes = found.path(torch.full((200,), 4))
        error = (rvq.decode(codes[None])[0] - x).square().sum(-1)
        return error, sum(cost[codes[:, k]] for k, cost in enumerate(costs_of_codes))

    plain, with_costs = beam_search(rvq, x, 4, 4), beam_search(rvq, x, 4, 4, code_costs=costs_of_codes)
    error, bits = costs(with_costs)
    assert torch.allclose(with_costs.errors[:, 4], error + bits, atol=1e-4)
    before, bits_before = costs(plain)
    assert bits.mean() < bits_before.mean()
    assert (error + bits).mean() < (before + bits_before).mean()
    assert error.mean() > before.mean()
    free = beam_search(rvq, x, 4, 4, code_costs=[torch.zeros(32)] * 4)
    assert torch.equal(free.errors, plain.errors)
    assert torch.equal(free.codes, plain.codes)


def test_lambda_is_each_vectors_own():
    rvq = ResidualVectorQuantizer(8, 4, codebook_size=32, shared_from=2, update="ema").eval()
    rvq.initialise(torch.randn(2000, 8), torch.Generator().manual_seed(0))
    x = torch.randn(60, 8)
    costs_of_codes = [0.5 * torch.rand(32) for _ in range(4)]
    lambdas = torch.tensor([0.0, 1.0, 3.0]).repeat_interleave(20)
    found = beam_search(rvq, x, 4, 4, code_costs=costs_of_codes, rd_lambda=lambdas)
    for w in (0.0, 1.0, 3.0):
        same = beam_search(rvq, x, 4, 4, code_costs=[w * cost for cost in costs_of_codes])
        assert torch.equal(found.codes[:, lambdas == w], same.codes[:, lambdas == w])
        assert torch.allclose(found.errors[lambdas == w], same.errors[lambdas == w], atol=1e-4)
