"""The probe that holds a model to a small forest: on real rows, with inputs and targets put out of order."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from examined import kinds_of, look
from sklearn.datasets import load_diabetes, load_digits
from torch import Tensor, nn

from modelwright.doctor.probes.oracle import measure, table_of
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.signal import Signal


def digits() -> tuple[Tensor, Tensor]:
    inputs, targets = load_digits(return_X_y=True)
    return torch.tensor(inputs[:600] / 16, dtype=torch.float32), torch.tensor(targets[:600])


def diabetes() -> tuple[Tensor, Tensor]:
    inputs, targets = load_diabetes(return_X_y=True)
    scaled = (targets - targets.mean()) / targets.std()
    return torch.tensor(inputs * 20, dtype=torch.float32), torch.tensor(scaled, dtype=torch.float32)[:, None]


def permuted(rows: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(rows[1]), generator=torch.Generator().manual_seed(0))
    return rows[0], rows[1][order]


class Turned(nn.Module):
    """Gives each row what the one before it is due."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.roll(1, 0))


def network(rows: tuple[Tensor, Tensor]) -> nn.Module:
    torch.manual_seed(0)
    outputs = 10 if rows[1].dtype == torch.long else 1
    return nn.Sequential(nn.Linear(rows[0].shape[1], 32), nn.ReLU(), nn.Linear(32, outputs))


def supervised(rows: tuple[Tensor, Tensor], model: nn.Module | None = None, **more: Any) -> Mapping[str, Any]:
    loss = nn.CrossEntropyLoss() if rows[1].dtype == torch.long else nn.MSELoss()
    return {"model": model or network(rows), "loss": loss, "data": rows, **more}


def slow() -> Mapping[str, Any]:
    model = network(diabetes())
    return supervised(diabetes(), model, optimizer=torch.optim.SGD(model.parameters(), lr=1e-9))


def halves(change: Callable[[Tensor], Tensor] = lambda x: x) -> Mapping[str, Any]:
    inputs, targets = digits()
    return supervised(
        (inputs[:300], targets[:300]), validation=(change(inputs[300:]), (targets[300:])), optimizer=None
    )


@pytest.mark.parametrize(
    ("factory", "kind"),
    [
        (lambda: supervised(permuted(digits())), "inputs-tell-nothing"),
        (lambda: supervised(permuted(diabetes())), "inputs-tell-nothing"),
        (lambda: supervised(digits(), Turned(network(digits()))), "less-than-a-small-forest"),
        (slow, "less-than-a-small-forest"),
        (lambda: halves(lambda x: x.flip(0)), "validation-is-another-task"),
    ],
    ids=["classes", "numbers", "rows turned round", "a rate of nothing", "validation rows in another order"],
)
def test_what_a_forest_tells_is_found(factory: Callable[[], Any], kind: str) -> None:
    found = look(factory, Signal())
    assert kinds_of(found) == [kind]
    assert found.findings[0].causes
    assert found.findings[0].next_check


@pytest.mark.parametrize(
    "factory",
    [
        lambda: supervised(digits()),
        lambda: supervised(diabetes()),
        halves,
        lambda: halves(lambda x: x + 0.01),
        lambda: supervised(
            (digits()[0].reshape(-1, 1, 8, 8), digits()[1]), nn.Sequential(nn.Flatten(), network(digits()))
        ),
    ],
    ids=["classes", "numbers", "validation", "a little drift", "pictures"],
)
def test_models_that_learn_are_left_alone(factory: Callable[[], Any]) -> None:
    found = look(factory, Signal())
    assert not found.findings
    assert not found.unchecked


def test_rows_of_another_sort_are_not_judged() -> None:
    tokens = torch.randint(0, 7, (200, 12))
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7))
    found = look(
        lambda: {
            "model": model,
            "loss": lambda out, target: nn.functional.cross_entropy(out.transpose(1, 2), target),
            "data": (tokens, tokens),
        },
        Signal(),
    )
    assert not found.findings
    assert "80 rows of numbers" in found.unchecked[0]


def test_the_forest_alarms_on_noise_no_more_often_than_its_p_value_says() -> None:
    generator = np.random.default_rng(0)
    surprises = 0
    for _ in range(60):
        inputs = torch.tensor(generator.normal(size=(80, 3)), dtype=torch.float32)
        table = table_of(Sample(inputs=inputs, targets=torch.tensor(generator.normal(size=80))))
        assert table is not None
        surprises += measure(table, np.arange(40), np.arange(40, 80)).p_value <= 0.05
    assert surprises <= 8  # of 60 at 1 in 20: more with probability 0.003


class Bumpy(nn.Module):
    """Learns what fixed features say, which are drawn once and are far too fine for so few rows."""

    def __init__(self) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(0)
        self.register_buffer("waves", torch.randn(64, 24, generator=drawn) * 20)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((x @ self.waves).cos())


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (lambda: supervised(digits(), Bumpy()), "and no others"),
        (
            lambda: supervised(
                digits(), model := network(digits()), optimizer=torch.optim.SGD(model.parameters(), lr=2e-3)
            ),
            "too slowly",
        ),
    ],
    ids=["fixed features", "a rate that tunes slowly"],
)
def test_models_that_know_their_rows_or_learn_slowly_are_not_judged(
    factory: Callable[[], Any], words: str
) -> None:
    found = look(factory, Signal())
    assert not found.findings
    assert words in found.unchecked[0]


def test_a_rate_that_moves_little_excuses_no_mixed_rows() -> None:
    def factory() -> Any:
        model = Turned(network(digits()))
        return supervised(digits(), model, optimizer=torch.optim.SGD(model.parameters(), lr=2e-3))

    assert kinds_of(look(factory, Signal())) == ["less-than-a-small-forest"]
