"""Tables that are learnt with traces, or by expected values: their signs, steps and greedy actions."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from watched import plant, run_watched

CORRIDOR = """
import random


class Corridor:
    '''Nine rooms in a row; a gust may carry one back. Treasure lies at the right end, a pit at the left.'''

    def __init__(self, dice):
        self.dice = dice

    def reset(self):
        self.room = 4
        return self.room

    def step(self, push):
        way = (-1, 1, 2)[push]
        if self.dice.random() < 0.15:
            way = -way
        self.room = max(0, min(8, self.room + way))
        if self.room == 8:
            return self.room, 6.0, True
        if self.room == 0:
            return self.room, -5.0, True
        return self.room, -0.4 - 0.1 * push, False


random.seed(4)
dice = random
world = Corridor(dice)
worth = [[dice.uniform(-0.1, 0.1) for _ in range(3)] for _ in range(9)]
"""

TRACES = (
    CORRIDOR
    + """
def pick(room, chance):
    if dice.random() < chance:
        return dice.randrange(3)
    return max(range(3), key=worth[room].__getitem__)


for game in range(400):
    trace = [[0.0] * 3 for _ in range(9)]
    room, chance = world.reset(), max(0.05, 0.5 - game / 400)
    push, over = pick(room, chance), False
    while not over:
        after, pay, over = world.step(push)
        coming = pick(after, chance)
        surprise = pay + (0.0 if over else 0.9 * worth[after][coming]) - worth[room][push]
        trace[room][push] += 1.0
        for here in range(9):
            for each in range(3):
                worth[here][each] += 0.15 * surprise * trace[here][each]
                trace[here][each] *= 0.6
        room, push = after, coming
"""
)

EXPECTED = (
    CORRIDOR
    + """
for game in range(500):
    room, over = world.reset(), False
    chance = 0.02 + 0.5 * 0.99**game
    while not over:
        best = max(range(3), key=worth[room].__getitem__)
        push = dice.randrange(3) if dice.random() < chance else best
        after, pay, over = world.step(push)
        hoped = (1 - chance) * max(worth[after]) + chance * sum(worth[after]) / 3
        target = pay if over else pay + 0.9 * hoped
        worth[room][push] += 0.15 * (target - worth[room][push])
        room = after
"""
)

FAULTS: dict[str, tuple[str, Sequence[tuple[str, str]], str]] = {
    "traces: away from targets": (
        TRACES,
        [("+= 0.15 * surprise", "-= 0.15 * surprise")],
        "loss-sign-flipped",
    ),
    "traces: whole steps": (TRACES, [("+= 0.15 *", "+= 1.0 *")], "learning-rate-too-high"),
    "expected: away from targets": (
        EXPECTED,
        [("(target - worth[room][push])", "(worth[room][push] - target)")],
        "loss-sign-flipped",
    ),
    "expected: whole steps": (EXPECTED, [("0.15 * (target", "1.0 * (target")], "learning-rate-too-high"),
    "expected: the worst": (EXPECTED, [("best = max(", "best = min(")], "greedy-inverted"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_where_values_have_traces_or_are_expected(fault: str, tmp_path: Path) -> None:
    program, edits, name = FAULTS[fault]
    assert run_watched(plant(program, *edits), tmp_path).first_cause[0] == name


VARIANTS: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "traces": (TRACES, []),
    "traces: that are replaced": (TRACES, [("trace[room][push] += 1.0", "trace[room][push] = 1.0")]),
    "traces: of one step": (TRACES, [("*= 0.6", "*= 0.0")]),
    "traces: that are kept as counts": (
        TRACES,
        [("0.15 * surprise", "0.02 * surprise"), ("*= 0.6", "*= 0.9")],
    ),
    "expected": (EXPECTED, []),
    "expected: a chance that stays": (EXPECTED, [("0.02 + 0.5 * 0.99**game", "0.2")]),
    "expected: costs": (
        EXPECTED,
        [
            ("pay if over else pay + 0.9 * hoped", "-pay if over else 0.9 * hoped - pay"),
            ("best = max(", "best = min("),
            ("* max(worth", "* min(worth"),
        ],
    ),
    "expected: hopes of the worst": (EXPECTED, [("* max(worth", "* min(worth")]),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_right_tables_with_traces_or_expected_values_have_nothing_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).kinds == []
