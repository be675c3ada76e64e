"""What coefficients quantized dependently are coded with is learned from them."""

import numpy as np

from josiecodec.coding.detail import ChosenDetail, DetailCoder
from josiecodec.training.vision.detail_coding import begin_coding, count_sizes, learn_coding, sizes_by_scale
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_layer import DetailLayer
from josiecodec.vision.detail_steps import DetailSteps


def chosen(layer, seed):
    """Coefficients of 2 x 2 blocks, many more in the upper ones than their scale says."""
    random = np.random.default_rng(seed)
    symbols = random.integers(-2, 3, (2, 2, 192)).astype(np.int16)
    symbols[1] = 0
    passes = [np.full((2, 2, len(members)), 10, np.int8) for members in layer.passes]
    return ChosenDetail(DetailSteps(60, 1), symbols, symbols, 0.0, passes, layer.passes)


def test_a_layer_learns_what_is_often_there():
    layer = DetailLayer(DetailConfig(states=8, strengths=8), 96, 16)
    begin_coding(layer, sizes_by_scale(40))
    crops = [chosen(layer, k) for k in range(8)]
    before = sum(len(DetailCoder(layer).pack(each, np.ones((1, 1), np.uint8))) for each in crops)
    counted = sizes_by_scale(40)
    for each in crops:
        count_sizes(each, counted)
    assert counted.sum() > sizes_by_scale(40).sum() + 8 * 4 * 192 - 1
    begin_coding(layer, counted)
    learn_coding(layer, crops)
    after = sum(len(DetailCoder(layer).pack(each, np.ones((1, 1), np.uint8))) for each in crops)
    assert after < 0.9 * before
    assert layer.numbers("chances").min() >= 0
    assert layer.numbers("chances").max() < 1 << 16
