"""Random and greedy actions of a small value learner: what no schedule does is named, what some do is not."""

from pathlib import Path

import pytest
from watched import CORRIDOR, plant, run_watched

LONG = plant(
    CORRIDOR, ("range(900)", "range(2000)"), ("if step >= 100:", "if step >= 100 and step % 4 == 0:")
)
_RATE = "if random.random() < max(0.1, 1 - step / 500):"
_STEP = "following, reward, terminated, truncated, _ = environment.step(action)"
_BEST = "action = int(online(torch.from_numpy(observation)[None]).argmax())"

FAULTS = {
    "random to the end": (
        [(_RATE, "if random.random() < max(1.0, 1 - step / 500):")],
        ("exploration-not-decaying", _STEP),
    ),
    "never random": ([(_RATE, "if random.random() < 0.0:")], ("exploration-missing", _STEP)),
    "random for a moment": (
        [(_RATE, "if random.random() < 0.5**step:")],
        ("exploration-ends-at-once", _STEP),
    ),
    "over before learning begins": (
        [
            (_RATE, "if random.random() < max(0.05, 0.98**step):"),
            ("if step >= 100 and", "if step >= 500 and"),
        ],
        ("exploration-ends-at-once", _STEP),
    ),
    "the wrong way round": (
        [(_RATE, "if random.random() > max(0.1, 1 - step / 500):")],
        ("greedy-inverted", _STEP),
    ),
    "the worst action": ([(_BEST, _BEST.replace("argmax", "argmin"))], ("greedy-inverted", _STEP)),
    "the worst action, in NumPy": (
        [(_BEST, "action = int(np.argmin(online(torch.from_numpy(observation)[None]).numpy()))")],
        ("greedy-inverted", _STEP),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_exploration_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(LONG, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause == expected


VARIANTS = {
    "as it is": [],
    "a small constant rate": [(_RATE, "if random.random() < 0.02:")],
    "a rate that has hardly begun to fall": [(_RATE, "if random.random() < 1 - step / 50_000:")],
    "random until learning begins": [
        (_RATE, "if random.random() < (1.0 if step < 500 else 0.05):"),
        ("if step >= 100 and", "if step >= 500 and"),
    ],
    "no randomness once learnt": [(_RATE, "if random.random() < 1 - step / 500:")],
    "values computed always": [
        (_RATE, "online(torch.from_numpy(observation)[None])\n    " + _RATE),
    ],
    "acting in NumPy": [
        (
            "        with torch.no_grad():\n            " + _BEST,
            "        one, _, two = online\n"
            "        w1, b1, w2, b2 = (p.detach().numpy() for l in (one, two) for p in l.parameters())\n"
            "        action = int((w2 @ np.maximum(w1 @ observation + b1, 0) + b2).argmax())",
        )
    ],
    "own numbers of actions": [
        (_STEP, _STEP.replace("step(action)", "step(1 - action)")),
        (_BEST, "action = int(np.argmax(online(torch.from_numpy(observation)[None]).numpy()))"),
    ],
    "costs in place of rewards": [
        (_BEST, _BEST.replace("argmax", "argmin")),
        ("best = target(nexts).max(dim=1)", "best = target(nexts).min(dim=1)"),
        ("goal = rewards.float()", "goal = -rewards.float()"),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_schedule_that_only_looks_odd_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    told = run_watched(plant(LONG, *VARIANTS[variant]), tmp_path)
    own = ("learnt-values-never-acted-on", "nothing-but-the-best-is-tried", "random-actions-become-more")
    assert not {*own, "worst-action-is-taken", "exploration-over-before-learning"} & set(told.kinds)
