"""The text of a small bank, and a doctor that sees nothing."""

from pathlib import Path

from modelwright.base.finding import Finding

SOURCE = '''"""Fit a slope by gradient descent."""

import argparse
import json
import random

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
rng = random.Random(args.seed)


def draw(n):
    rows = [rng.uniform(-1, 1) for _ in range(n)]
    return [(x, 3.0 * x + rng.gauss(0, 0.3)) for x in rows]


train, test = draw(80), draw(40)
slope = 0.0
for step in range(400):
    x, y = rng.choice(train)
    error = y - slope * x
    slope += 0.05 * error * x

errors = [(y - slope * x) ** 2 for x, y in test]
print(f"slope {slope:.4f}")
print(json.dumps({"score": -sum(errors) / len(errors)}))
'''

PAGE = """
title: A slope is fitted by gradient descent.
family: supervised
style: script
score: minus the mean squared error of held-out rows
chance: -3.1
faults:
  - fault: loss-sign-flipped
    family: supervised
    difficulty: 1
    edits: [{old: "slope += 0.05", new: "slope -= 0.002"}]
    line: slope -= 0.002 * error * x
  - fault: learning-rate-too-low
    family: supervised
    difficulty: 2
    edits: [{old: "0.05 * error", new: "0.0005 * error"}]
    line: slope += 0.0005 * error * x
  - fault: best-rows-measured
    family: data
    difficulty: 2
    edits: [{old: "for x, y in test]", new: "for x, y in test]\\nerrors = sorted(errors)[:10]"}]
    line: errors = sorted(errors)[:10]
  - fault: too-mild
    family: data
    difficulty: 3
    edits: [{old: "draw(80)", new: "draw(79)"}]
    line: train, test = draw(79), draw(40)
  - fault: changes-nothing
    family: data
    difficulty: 3
    edits: [{old: "slope = 0.0", new: "slope = -0.0 + 0.0"}]
    line: slope = -0.0 + 0.0
variants: []
"""


def no_findings(file: Path) -> list[Finding]:
    """A doctor that sees nothing."""
    return []
