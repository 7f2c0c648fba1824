"""A graph's nodes enter a network at once, and some are learnt; transforms of torch.func are not heard."""

from pathlib import Path

import pytest
from watched import Told, plant, run_watched

_GRAPH = """
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
kinds = torch.arange(240) % 3
near = (torch.rand(240, 240) < torch.where(kinds[:, None] == kinds[None], 0.2, 0.02)).float()
near = ((near + near.T) > 0).float() + torch.eye(240)
near = near / near.sum(1, keepdim=True)
words = torch.randn(240, 12) + 0.7 * F.one_hot(kinds, 12)
order = torch.randperm(240)
some, rest = order[:80], order[80:]


class Layer(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x, near):
        return near @ self.linear(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Layer(12, 16), Layer(16, 3)

    def forward(self, x, near):
        return self.second(F.dropout(self.first(x, near).relu(), 0.3, self.training), near)


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(60):
    net.train()
    optimizer.zero_grad()
    said = net(words, near)
    loss = F.cross_entropy(said[some], kinds[some])
    loss.backward()
    optimizer.step()
    net.eval()
    with torch.no_grad():
        said = net(words, near)
        right = [(said[part].argmax(1) == kinds[part]).float().mean().item() for part in (some, rest)]
"""
_LOSS = "loss = F.cross_entropy(said[some], kinds[some])"
_MASK = "mask = torch.zeros(240).index_fill(0, some, 1.0)\n    "
_STEP = "said = net(words, near)\n    loss"
_FEW = "    part = some[torch.randperm(80)[:48]]\n    said = net(words[part], near[part][:, part])\n"
_ONE_GRAPH = {
    "indices": (),
    "a mask": ((_LOSS, f"{_MASK}loss = F.cross_entropy(said[mask.bool()], kinds[mask.bool()])"),),
    "weights": (
        (_LOSS, f"{_MASK}loss = (F.cross_entropy(said, kinds, reduction='none') * mask).sum() / 80"),
    ),
    "labels that are ignored": (
        (
            _LOSS,
            "known = torch.full_like(kinds, -100).index_copy(0, some, kinds[some])\n"
            "    loss = F.cross_entropy(said, known)",
        ),
    ),
    "sparse neighbours": (("near = near / near.sum(1, keepdim=True)", "near = (near / 40).to_sparse()"),),
    "sparse neighbours first": (
        ("near = near / near.sum(1, keepdim=True)", "near = (near / 40).to_sparse()"),
        (
            "    def forward(self, x, near):\n        return self.second",
            "    def forward(self, near, x):\n        return self.second",
        ),
        ("    said = net(words, near)\n    loss", "    said = net(near, words)\n    loss"),
        ("        said = net(words, near)\n        right", "        said = net(near, words)\n        right"),
    ),
    "words that are left out at random": (
        ("    said = net(words, near)\n    loss", "    said = net(F.dropout(words, 0.2), near)\n    loss"),
    ),
    "a part of the nodes and their neighbours": (
        (
            "    said = net(words, near)\n    loss = F.cross_entropy(said[some], kinds[some])\n",
            f"{_FEW}    loss = F.cross_entropy(said, kinds[part])\n",
        ),
    ),
}


def _said(told: Told) -> list[str]:
    """Return what was found, parts of the doctor that failed among it."""
    return told.kinds + [each.title for each in told.findings if each.kind == "sensor-failed"]


@pytest.mark.parametrize("way", _ONE_GRAPH)
def test_a_graph_whose_nodes_are_learnt_in_part_is_well(way: str, tmp_path: Path) -> None:
    told = run_watched(plant(_GRAPH, *_ONE_GRAPH[way]), tmp_path)
    assert not _said(told)


def test_nodes_that_are_all_learnt_are_named(tmp_path: Path) -> None:
    told = run_watched(plant(_GRAPH, (_LOSS, "loss = F.cross_entropy(said, kinds)")), tmp_path)
    assert "measured-on-training-rows" in told.kinds


def test_faults_beside_sparse_neighbours_are_named(tmp_path: Path) -> None:
    sparse = _ONE_GRAPH["sparse neighbours"]
    told = run_watched(
        plant(_GRAPH, *sparse, ("said[some], kinds", "said[some].softmax(1), kinds")), tmp_path
    )
    assert "probabilities-into-cross-entropy" in told.kinds


_TABLE = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(400, 5)
y = x[:, 0] - x[:, 1] * x[:, 2] + 0.2 * torch.randn(400)
net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(40):
    for part in torch.randperm(300).split(50):
        optimizer.zero_grad()
        loss = ((net(x[part]).squeeze(1) - y[part]) ** 2).mean()
        loss.backward()
        optimizer.step()
    asked = net(x[300:]).squeeze(1)
    print(((asked - y[300:]) ** 2).mean().item())
with torch.no_grad():
    print(((net(x[300:]).squeeze(1) - y[300:]) ** 2).mean().item())
"""


def test_rows_of_an_evaluation_that_records_gradients_are_not_learnt(tmp_path: Path) -> None:
    assert not _said(run_watched(_TABLE, tmp_path))


def test_rows_that_are_learnt_and_measured_are_named_beside_one(tmp_path: Path) -> None:
    told = run_watched(
        plant(
            _TABLE,
            (
                "with torch.no_grad():\n    print(((net(x[300:]).squeeze(1) - y[300:])",
                "with torch.no_grad():\n    print(((net(x[:300]).squeeze(1) - y[:300])",
            ),
        ),
        tmp_path,
    )
    assert "measured-on-training-rows" in told.kinds


_TRANSFORMS = {
    "an ensemble": (
        "net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))\n",
        "from torch.func import functional_call, stack_module_state, vmap\n"
        "nets = [nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1)) for _ in range(3)]\n"
        "weights, _ = stack_module_state(nets)\n"
        "def net(rows):\n"
        "    return vmap(lambda each: functional_call(nets[0], each, (rows,)))(weights).mean(0)\n",
    ),
    "slopes in inputs": (
        "loss = ((net(x[part])",
        "slopes = torch.func.vmap(torch.func.grad(lambda row: net(row).sum()))(x[part])\n"
        "        loss = 1e-4 * (slopes**2).mean() + ((net(x[part])",
    ),
}


@pytest.mark.parametrize("way", _TRANSFORMS)
def test_no_sensor_fails_inside_of_transforms(way: str, tmp_path: Path) -> None:
    told = run_watched(
        plant(
            _TABLE,
            _TRANSFORMS[way],
            *((("net.parameters()", "weights.values()"),) if way == "an ensemble" else ()),
        ),
        tmp_path,
    )
    assert not _said(told)


_TEACHER = """
teacher = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)).requires_grad_(False)
teacher.load_state_dict({name: each * 2 for name, each in teacher.state_dict().items()})
"""


def test_rows_that_a_teacher_is_asked_of_are_not_measured(tmp_path: Path) -> None:
    loss = "loss = ((net(x[part]).squeeze(1) - y[part]) ** 2).mean()"
    taught = (
        "with torch.no_grad():\n            soft = teacher(x[part])\n"
        "        loss = ((net(x[part]) - soft) ** 2).mean()"
    )
    edits = (loss, taught), ("optimizer =", f"{_TEACHER}optimizer =")
    assert not _said(run_watched(plant(_TABLE, *edits), tmp_path))


_LAYERS = ("nn.Tanh(), nn.Linear(16, 1))", "nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))")
_MODES = ("    for part in torch.randperm(300)", "    net.train()\n    for part in torch.randperm(300)")
_ASKED = ("    asked = net(", "    net.eval()\n    asked = net(")


def test_an_evaluation_that_records_gradients_is_not_learning(tmp_path: Path) -> None:
    assert not _said(run_watched(plant(_TABLE, _LAYERS, _MODES, _ASKED), tmp_path))


def test_learning_in_evaluation_mode_is_named_beside_it(tmp_path: Path) -> None:
    told = run_watched(plant(_TABLE, _LAYERS, _ASKED), tmp_path)
    assert told.first_cause[0] == "train-mode-not-restored"


_EDGE = """
        start = torch.zeros(1, 5, requires_grad=True)
        slope = torch.autograd.grad(net(start).sum(), start, create_graph=True)[0]
        loss = loss + 1e-3 * (slope**2).mean() + 1e-3 * net(torch.zeros(1, 5)).square().mean()
"""


def test_zeros_at_the_edge_beside_other_inputs_are_in_scale(tmp_path: Path) -> None:
    assert not _said(
        run_watched(
            plant(_TABLE, ("        loss.backward()\n", f"{_EDGE}        loss.backward()\n")), tmp_path
        )
    )
    small = plant(
        _TABLE,
        ("x = torch.randn(400, 5)", "x = torch.randn(400, 5) * 1e-4"),
        ("y = x[:, 0]", "y = 1e4 * x[:, 0]"),
    )
    small = plant(small, ("        loss.backward()\n", f"{_EDGE}        loss.backward()\n"))
    assert "inputs-out-of-scale" in run_watched(small, tmp_path).kinds


_ATTACK = """
    for rows in (x[:50], x[300:]):
        net.eval()
        near = rows.clone().requires_grad_(True)
        GRADIENT
        attacked = (near + 0.1 * near.grad.sign()).detach()
        net.train()
"""
_WAYS_TO_ATTACK = {
    "autograd.grad": "near.grad = torch.autograd.grad(net(near).square().sum(), near)[0]",
    "backward": "net(near).square().sum().backward()",
}


@pytest.mark.parametrize("way", _WAYS_TO_ATTACK)
def test_an_attack_in_evaluation_mode_is_not_learning(way: str, tmp_path: Path) -> None:
    attack = _ATTACK.replace("GRADIENT", _WAYS_TO_ATTACK[way])
    attacked = plant(
        _TABLE,
        _LAYERS,
        ("    for part in torch.randperm(300)", f"{attack}    for part in torch.randperm(300)"),
    )
    assert not _said(
        run_watched(
            plant(
                attacked,
                ("    asked =", "    net.eval()\n    asked ="),
                ("with torch.no_grad():\n", "net.eval()\nwith torch.no_grad():\n"),
            ),
            tmp_path,
        )
    )


_DRAWS = (
    "net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))\n",
    """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 16), nn.Linear(16, 1)

    def forward(self, rows):
        held = torch.tanh(self.first(rows))
        return self.last(nn.functional.dropout(held, 0.2, training=self.training))


net = Net()
""",
)
_QUIET = (
    "    asked = net(x[300:]).squeeze(1)\n",
    "    net.eval()\n    with torch.no_grad():\n        asked = net(x[300:]).squeeze(1)\n",
)


def test_dropout_as_a_function_tells_of_the_mode_like_a_layer(tmp_path: Path) -> None:
    well = plant(_TABLE, _DRAWS, _MODES, _QUIET)
    assert not _said(run_watched(well, tmp_path))
    told = run_watched(plant(well, ("    net.train()\n", "")), tmp_path)
    assert told.first_cause[0] == "train-mode-not-restored"
    told = run_watched(plant(well, ("    net.eval()\n", "")), tmp_path)
    assert told.first_cause[0] == "eval-mode-missing"
    meant = plant(well, ("    net.eval()\n", ""), ("training=self.training", "training=True"))
    assert not _said(run_watched(meant, tmp_path))


def test_weights_of_a_loss_that_are_learnt_leave_the_trials_whole(tmp_path: Path) -> None:
    loss = "loss = ((net(x[part]).squeeze(1) - y[part]) ** 2).mean()"
    weighted = plant(
        _TABLE,
        (
            "optimizer = torch.optim.Adam(net.parameters(), lr=0.01)",
            "wide = nn.Parameter(torch.zeros(1))\n"
            "optimizer = torch.optim.Adam([*net.parameters(), wide], lr=0.01)",
        ),
        (loss, f"{loss} * torch.exp(-wide).sum() + wide.sum()"),
    )
    assert not _said(run_watched(weighted, tmp_path))
    told = run_watched(plant(weighted, ("lr=0.01", "lr=0.00001")), tmp_path)
    assert "learns-better-otherwise" in told.kinds


def test_a_softmax_over_all_nodes_is_named_where_some_of_them_are_learnt(tmp_path: Path) -> None:
    whole, some = (
        "return self.second(F.dropout(self.first(x, near).relu(), 0.3, self.training), near)",
        "F.cross_entropy(said[some], ",
    )
    held = f"{whole[: -len(', near)')]}, near).log_softmax(AXIS)"
    edits = (whole, held.replace("AXIS", "0")), (some, "F.nll_loss(said[some], ")
    assert run_watched(plant(_GRAPH, *edits), tmp_path).first_cause[0] == "softmax-over-wrong-axis"
    edits = (whole, held.replace("AXIS", "1")), (some, "F.nll_loss(said[some], ")
    assert not _said(run_watched(plant(_GRAPH, *edits), tmp_path))
