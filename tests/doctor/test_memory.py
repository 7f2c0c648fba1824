"""Policies with memory: faults planted in three small agents, and what only looks odd."""

from pathlib import Path

import pytest
from memories import CELL, HOLDER, LAYER
from watched import plant, run_watched

_MASK = "        state = state * (1 - ends)[:, None]\n"
_KEEP = "            keep = (1.0 - d).view(1, -1, 1)\n"

FAULTS = {
    "a cell's state is kept": (
        CELL,
        [(_MASK, "")],
        "state-not-reset-at-done",
        "agent(torch.tensor(seen), state)",
    ),
    "an agent never forgets": (
        HOLDER,
        [("    agent.forget()\n    logs", "    logs")],
        "state-not-reset-at-done",
        "self.layer(",
    ),
    "a layer is not told of ends": (
        LAYER,
        [(_KEEP, "            keep = torch.ones(1, 1, 1)\n")],
        "state-not-reset-at-done",
        "self.lstm(",
    ),
    "a cell's observations share memory": (
        CELL,
        [("agent(torch.tensor(seen), state)\n", "agent(torch.from_numpy(seen), state)\n")],
        "observation-aliased",
        "agent(torch.from_numpy(seen), state)",
    ),
    "a cell's returns go past ends": (
        CELL,
        [("0.9 * (1 - ends) * total", "0.9 * total")],
        "terminal-mask-missing",
        "total = rewards + 0.9 * total",
    ),
    "nothing follows a cell's last step": (
        CELL,
        [("state)[1]\n", "state)[1] * 0\n")],
        "bootstrap-missing",
        "total = rewards",
    ),
    "a cell's policy loses": (
        CELL,
        [("- (gain.detach", "+ (gain.detach")],
        "policy-loss-sign",
        "loss = ",
    ),
    "a cell's entropy is punished": (
        CELL,
        [("- 0.01 * entropy", "+ 0.01 * entropy")],
        "entropy-sign-flipped",
        "+ 0.01 * entropy",
    ),
    "a layer's update is not told of ends": (
        LAYER,
        [("agent.act(rows, first, starts,", "agent.act(rows, first, 0 * starts,")],
        "memory-replayed-otherwise",
        "ratio = (log - old).exp()",
    ),
}

VARIANTS = {
    "a cell with its state set back": (CELL, []),
    "a state that is set back in place": (
        HOLDER,
        [
            ("        self.memory = None\n\n", "        [each.zero_() for each in self.memory or ()]\n\n"),
            ("        self.forget()\n", "        self.memory = None\n"),
        ],
    ),
    "an agent that forgets": (HOLDER, []),
    "observations that share memory until the next": (
        HOLDER,
        [
            ("        seen, reward, ended", "        seen[:], reward, ended"),
            ("agent(torch.from_numpy(seen))", "agent(torch.from_numpy(seen) * 1)"),
        ],
    ),
    "a layer that is told of ends": (LAYER, []),
    "rewards are remembered over episodes on purpose": (
        CELL,
        [
            (_MASK, "        told = rewards.numpy()\n"),
            ("nn.GRUCell(3, 16)", "nn.GRUCell(4, 16)"),
            ("losses = []\n", "losses, told = [], np.zeros(6, np.float32)\n"),
            ("agent(torch.tensor(seen), state)\n", "agent(torch.tensor(np.c_[seen, told]), state)\n"),
            ("agent(torch.tensor(seen), state)[1]", "agent(torch.tensor(np.c_[seen, told]), state)[1]"),
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_memory_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    program, edits, name, line = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    found, text = told.first_cause
    assert found == name
    assert line in text


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_in_memory_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []
