"""Steps of a window follow from a forecast and from what its pictures took."""

from __future__ import annotations

import numpy as np
import pytest
from kit.vision import scene

from josiecodec.coding.motion_choice import Seen
from josiecodec.coding.motion_lookahead import Lookahead
from josiecodec.coding.motion_plan import plan
from josiecodec.coding.motion_rate import EVEN, FREEDOM, Course, Forecast
from josiecodec.vision.motion_planes import to_planes
from josiecodec.vision.motion_search import coarse


@pytest.fixture(scope="module")
def forecast():
    x = scene(48, 64, 20)[0]
    seen = []
    for picture in x.unbind(1):
        planes = to_planes(picture.numpy())
        seen.append(Seen(planes, coarse(planes.y)))
    parts = plan(0, 20, {0})
    return Forecast([p for part in parts for p in part], Lookahead(parts, lambda n: seen[n], 8.0))


def run(course: Course, truth: np.ndarray) -> None:
    for n, ratio in enumerate(truth):
        step = course.next_step()
        course.took(step, float(ratio * course.forecast.bits(step)[n]))


def test_coarser_steps_take_less(forecast):
    assert (np.diff([forecast.bits(s).sum() for s in range(0, 150, 10)]) < 0).all()


def test_a_forecast_that_is_right_is_kept_to(forecast):
    budget = float(forecast.bits(60.0).sum())
    course = Course(forecast, budget, np.ones(3))
    run(course, np.ones(20))
    assert course.start == pytest.approx(60, abs=0.1)
    assert course.bits == pytest.approx(budget, rel=0.001)
    assert course.spread < 0.5


def test_a_forecast_that_is_wrong_is_set_right_and_even_the_second_time(forecast):
    truth = np.where(forecast.layers == 0, 0.5, np.where(forecast.layers == 1, 1.8, 1.2))
    budget = float(forecast.bits(60.0).sum())
    first = Course(forecast, budget, np.ones(3))
    run(first, truth)
    assert max(np.abs(np.array(first.steps) - first.start)) <= FREEDOM
    second = Course(forecast, budget, first.ratios, first)
    run(second, truth)
    assert second.bits == pytest.approx(budget, rel=0.01)
    assert second.spread < min(first.spread, EVEN)
    np.testing.assert_allclose(second.own_ratios, truth)
