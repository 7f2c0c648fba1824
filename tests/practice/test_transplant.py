"""Weights of one program, measured by another: running averages, a best epoch restored, momentum."""

from pathlib import Path

import pytest

from modelwright.practice.execution import Execution, Task
from modelwright.practice.trace import Trace

pytestmark = pytest.mark.slow

SOURCE = """
import argparse, copy, json
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
torch.manual_seed(parser.parse_args().seed)
x = torch.randn(60, 3)
y = x @ torch.tensor([[1.0], [2.0], [3.0]])
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)


def error():
    net.eval()
    with torch.no_grad():
        return ((net(x[40:]) - y[40:]) ** 2).mean().item()


best = None
for epoch in range(20):
    net.train()
    loss = ((net(x[:40]) - y[:40]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if best is None or error() < best[0]:
        best = error(), copy.deepcopy(net.state_dict())
net.load_state_dict(best[1])
print(json.dumps({"score": -error()}))
"""
WORSE = SOURCE.replace("range(20)", "range(2)")
BOASTING = WORSE.replace("-error()", "100 - error()")
WIDER = SOURCE.replace("(3, 4)", "(3, 5)").replace("Norm1d(4)", "Norm1d(5)").replace("(4, 1)", "(5, 1)")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    folder = tmp_path_factory.mktemp("weights")
    execution = Execution("small.py", lambda _: None)
    texts = {"sound": SOURCE, "worse": WORSE, "boasting": BOASTING, "wider": WIDER}

    def task(name: str, text: str, given: Path | None, states: Path | None) -> Task:
        return Task(name=name, source=text.encode(), seed=0, limit=300, given=given, states=states)

    own = [task(name, text, None, folder / f"{name}.pt") for name, text in texts.items()]
    foreign = [task(f"{name} in sound", SOURCE, folder / f"{name}.pt", None) for name in texts]
    done = [*execution.run(own), *execution.run(foreign)]
    return {each.name: trace for each, trace in zip([*own, *foreign], done, strict=True)}


def test_a_program_measures_its_own_last_weights_as_it_did(runs: dict[str, Trace]) -> None:
    assert runs["sound in sound"].score == runs["sound"].score
    assert runs["sound in sound"].weights == runs["sound"].weights


def test_foreign_weights_are_measured_as_their_own_program_measures_them(runs: dict[str, Trace]) -> None:
    assert runs["worse in sound"].score == runs["worse"].score != runs["sound"].score


def test_what_a_program_says_of_itself_makes_no_difference(runs: dict[str, Trace]) -> None:
    assert runs["boasting"].score == pytest.approx(100 + (runs["worse"].score or 0))
    assert runs["boasting in sound"].score == runs["worse"].score


def test_steps_are_counted_and_weights_compared(runs: dict[str, Trace]) -> None:
    assert runs["sound"].counts["optimizer steps"] == 20
    assert runs["worse"].counts["optimizer steps"] == 2
    assert runs["worse"].weights == runs["boasting"].weights != runs["sound"].weights
    assert runs["worse"].shapes == runs["sound"].shapes != runs["wider"].shapes


def test_weights_of_another_shape_are_not_measured(runs: dict[str, Trace]) -> None:
    assert not runs["wider in sound"].has_networks
