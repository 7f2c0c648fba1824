"""Environments that are heard less often once enough of them was heard, and what is heard all the same."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_scaled_observations import SCALED
from watched import plant, run_watched

from modelwright.doctor.watch import rest as rest_module
from modelwright.doctor.watch.rest import Rest
from modelwright.doctor.watch.sensor import Scene

MEASURED = """
trials = Corridor()
for episode in range(40):
    observation, ended = trials.reset(seed=episode)[0], False
    while not ended:
        with torch.no_grad():
            action = int(online(torch.from_numpy(scaled(observation))[None]).argmax())
        observation, reward, terminated, truncated, _ = trials.step(action)
        ended = terminated or truncated
"""


@dataclass(slots=True)
class _Taken:
    share: float


def _steps(scene: Scene, rest: Rest, count: int, *, each: int, share: float) -> list[bool]:
    """Step an environment, with an update after `each` steps (none where it is 0); return what was heard."""
    heard = list[bool]()
    for step in range(count):
        if each and step % each == 0:
            scene.steps += 1
        rest.weigh(_Taken(share))
        heard.append(not scene.resting)
        if scene.resting:
            scene.experience.passed(1, np.zeros(2, np.float32))
        else:
            scene.experience.stepped(1, 0, np.full(2, step, np.float32), 0.0, False, False)
    return heard


def _begun() -> tuple[Scene, Rest]:
    scene = Scene()
    scene.experience.began(1, np.zeros(2, np.float32))
    return scene, Rest(scene)


def test_a_quick_program_is_heard_first_and_in_stretches_later() -> None:
    scene, rest = _begun()
    heard = _steps(scene, rest, 100_000, each=4, share=0.5)
    assert all(heard[:5_000])
    assert 0.1 < np.mean(heard) < 0.3
    # To the end it is heard again and again.
    assert all(any(part) for part in np.array_split(np.array(heard[20_000:]), 3))
    assert scene.experience.stretches > 3


def test_a_slow_program_is_heard_throughout() -> None:
    scene, rest = _begun()
    assert all(_steps(scene, rest, 40_000, each=4, share=0.01))


def test_what_comes_before_updates_and_the_first_rollouts_are_heard() -> None:
    scene, rest = _begun()
    assert all(_steps(scene, rest, 10_000, each=0, share=0.5))  # a memory is filled
    assert all(_steps(scene, rest, 5_000, each=1, share=0.5))
    scene, rest = _begun()
    assert all(_steps(scene, rest, 2_048 * 6, each=2_048, share=0.5))
    assert not all(_steps(scene, rest, 2_048 * 3, each=2_048, share=0.5))


def test_a_measurement_after_learning_is_heard() -> None:
    scene, rest = _begun()
    assert not all(_steps(scene, rest, 9_000, each=4, share=0.5)[-100:])
    after = _steps(scene, rest, 500, each=0, share=0.5)
    assert all(after[-450:])


@pytest.mark.parametrize("fault", [True, False])
def test_what_is_measured_after_learning_is_judged(
    fault: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_module, "_HEARD_LEARNING", 500)
    measured = plant(MEASURED, ("scaled(observation)", "observation")) if fault else MEASURED
    told = run_watched(SCALED + measured, tmp_path)
    assert told.kinds == (["observations-scaled-otherwise-after-learning"] if fault else [])
    assert not fault or told.first_cause[0] == "preprocessing-differs-at-evaluation"
