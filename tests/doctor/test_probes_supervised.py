"""Probes of models, losses and data: a planted fault is named first, odd but right things are not."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from examined import kinds_of, look
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from modelwright.doctor.probes.all import make_probes
from modelwright.doctor.probes.batch_rows import BatchRows
from modelwright.doctor.probes.causality import Causality
from modelwright.doctor.probes.finite_differences import FiniteDifferences
from modelwright.doctor.probes.first_loss import FirstLoss
from modelwright.doctor.probes.first_pass import FirstPass
from modelwright.doctor.probes.learning_rates import LearningRates
from modelwright.doctor.probes.loss_rows import LossRows
from modelwright.doctor.probes.modes import Modes
from modelwright.doctor.probes.output_range import OutputRange
from modelwright.doctor.probes.reload import Reload
from modelwright.doctor.probes.two_rows import TwoRows
from modelwright.doctor.probes.watched_loop import WatchedLoop

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def classes(rows: int = 256, features: int = 8) -> tuple[Tensor, Tensor]:
    """Return inputs, and which of four classes each is of."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(rows, features, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()


def numbers(rows: int = 256) -> tuple[Tensor, Tensor]:
    """Return inputs, and a number for each, positive and negative: (row, 1)."""
    inputs, _ = classes(rows)
    return inputs, (2 * inputs[:, :1] - inputs[:, 1:2]).tanh() * 3


def tokens(rows: int = 64) -> tuple[Tensor, Tensor]:
    """Return sequences, and the same one step later."""
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(0, 7, (rows, 13), generator=generator)
    return text[:, :-1], text[:, 1:]


def perceptron(outputs: int = 4, *last: nn.Module) -> nn.Sequential:
    """Return a small network."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, outputs), *last)


class Attention(nn.Module):
    """Guesses the next token; `mask` and `batch_first` as they should be, unless told otherwise."""

    def __init__(self, mask: bool = True, batch_first: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(7, 16)
        self.place = nn.Parameter(torch.randn(12, 16) * 0.1)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=batch_first)
        self.head = nn.Linear(16, 7)
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.mask else None
        return self.head(self.layer(self.embed(x) + self.place, mask))


def next_token(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output.flatten(0, 1), target.flatten())


class Twice(torch.autograd.Function):
    """Twice its input; the gradient is not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class Around(nn.Module):
    """A network, and something done before and after it."""

    def __init__(
        self,
        inner: nn.Module,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        after: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.inner(self.before(x)))


class Listed(nn.Module):
    """Keeps its layers in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(8, 8), nn.Linear(8, 8)]
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)


class Loose(nn.Module):
    """Draws a projection that is not part of its state."""

    def __init__(self, registered: bool = False) -> None:
        super().__init__()
        projection = torch.randn(8, 16)
        if registered:
            self.register_buffer("projection", projection)
        else:
            self.projection = projection
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((x @ self.projection).cos())


class Noisy(Dataset[Any]):
    """Rows with noise added anew at each fetch."""

    def __init__(self, noise: float) -> None:
        self.rows, self.noise = classes(), noise

    def __len__(self) -> int:
        return len(self.rows[0])

    def __getitem__(self, at: int) -> tuple[Tensor, Tensor]:
        row = self.rows[0][at]
        return row + self.noise * torch.randn(row.shape), self.rows[1][at]


def supervised(model: Any, loss: Any = None, data: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "loss": loss or nn.CrossEntropyLoss(),
        "data": classes() if data is None else data,
        **more,
    }


def adam(rate: float) -> Callable[[Any], Any]:
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def emptied(model: nn.Module, value: float) -> nn.Module:
    next(model.parameters()).data[0, 0] = value
    return model


def scaled(model: nn.Module, by: float) -> nn.Module:
    for value in model.parameters():
        value.data *= by
    return model


FAULTS: dict[str, tuple[Callable[[], Any], Any, str, str | None]] = {
    "a weight that is no number": (
        lambda: supervised(emptied(perceptron(), math.nan)),
        FirstPass,
        "values-not-finite",
        None,
    ),
    "inputs that are no numbers": (
        lambda: supervised(perceptron(), data=(classes()[0] * math.nan, classes()[1])),
        FirstPass,
        "values-not-finite",
        None,
    ),
    "an empty data set": (
        lambda: supervised(perceptron(), data=TensorDataset(torch.zeros(0, 8), torch.zeros(0))),
        FirstPass,
        "no-rows",
        None,
    ),
    "inputs of another width": (lambda: supervised(nn.Linear(5, 4)), FirstPass, "pass-raises", ""),
    "a loss for each row": (
        lambda: supervised(perceptron(), nn.CrossEntropyLoss(reduction="none")),
        FirstPass,
        "pass-raises",
        None,
    ),
    "a column against a row": (
        lambda: supervised(perceptron(1), nn.MSELoss(), (numbers()[0], numbers()[1][:, 0])),
        LossRows,
        "loss-pairs-no-rows",
        "silent-broadcast",
    ),
    "a sign turned, of classes": (
        lambda: supervised(perceptron(), lambda output, target: -functional.cross_entropy(output, target)),
        LossRows,
        "loss-prefers-wrong-outputs",
        "loss-sign-flipped",
    ),
    "a sign turned, of numbers": (
        lambda: supervised(perceptron(1), lambda a, b: -functional.mse_loss(a, b), numbers()),
        LossRows,
        "loss-prefers-wrong-outputs",
        "loss-sign-flipped",
    ),
    "a relu on the output": (
        lambda: supervised(perceptron(1, nn.ReLU()), nn.MSELoss(), numbers()),
        OutputRange,
        "outputs-cannot-reach-targets",
        "relu-on-output",
    ),
    "a tanh on the output": (
        lambda: supervised(perceptron(1, nn.Tanh()), nn.L1Loss(), numbers()),
        OutputRange,
        "outputs-cannot-reach-targets",
        "relu-on-output",
    ),
    "first weights ten times as large": (
        lambda: supervised(scaled(perceptron(), 10.0)),
        FirstLoss,
        "first-loss-far-above-chance",
        "initialisation-too-large",
    ),
    "inputs not scaled": (
        lambda: supervised(perceptron(), data=(classes()[0] * 300, classes()[1])),
        FirstLoss,
        "first-loss-far-above-chance",
        "inputs-not-scaled",
    ),
    "attention over the rows": (
        lambda: supervised(Attention(batch_first=False, mask=False), next_token, tokens()),
        BatchRows,
        "rows-mixed",
        "rows-mixed",
    ),
    "a mean over the rows": (
        lambda: supervised(Around(perceptron(), before=lambda x: x - x.mean(0))),
        BatchRows,
        "rows-mixed",
        "rows-mixed",
    ),
    "a softmax over the rows": (
        lambda: supervised(perceptron(4, nn.LogSoftmax(dim=0)), nn.NLLLoss()),
        BatchRows,
        "rows-mixed",
        "rows-mixed",
    ),
    "places added to the axis of rows": (
        lambda: supervised(
            Around(perceptron(), before=lambda x: x + torch.linspace(0, 1, 1000)[: len(x), None])
        ),
        BatchRows,
        "rows-treated-by-place",
        "rows-mixed",
    ),
    "a view in place of a transpose": (
        lambda: supervised(Around(perceptron(), before=lambda x: x.t().reshape(x.shape))),
        BatchRows,
        "rows-treated-by-place",
        "rows-mixed",
    ),
    "no causal mask": (
        lambda: supervised(Attention(mask=False), next_token, tokens()),
        Causality,
        "sees-the-future",
        "causal-mask-missing",
    ),
    "labels not shifted": (
        lambda: supervised(Attention(), next_token, (tokens()[0], tokens()[0]), causal=True),
        Causality,
        "targets-are-the-inputs",
        "labels-not-shifted",
    ),
    "dropout as a function, always on": (
        lambda: supervised(Around(perceptron(), before=lambda x: functional.dropout(x, 0.3))),
        Modes,
        "random-in-evaluation",
        "dropout-always-on",
    ),
    "held-out rows that change": (
        lambda: supervised(perceptron(), data=Noisy(0.1), validation=Noisy(0.1)),
        Modes,
        "held-out-rows-change",
        "augmented-in-evaluation",
    ),
    "a wrong backward": (
        lambda: supervised(Around(perceptron(), after=lambda x: Twice.apply(x.tanh()) * 1.0)),
        FiniteDifferences,
        "gradient-is-not-the-slope",
        "backward-wrong",
    ),
    "a layer behind a cut": (
        lambda: supervised(Around(nn.Linear(8, 4), after=lambda x: x.detach().requires_grad_())),
        FiniteDifferences,
        "gradient-is-not-the-slope",
        "graph-detached",
    ),
    "all rows made the same": (
        lambda: supervised(Around(perceptron(), before=lambda x: x * 0.0)),
        TwoRows,
        "two-rows-not-fitted",
        "dead-relu",
    ),
    "units that are never on": (
        lambda: supervised(Around(perceptron(), after=lambda x: (x - 1e4).relu())),
        TwoRows,
        "two-rows-not-fitted",
        "dead-relu",
    ),
    "a softmax before cross-entropy": (
        lambda: supervised(perceptron(4, nn.Softmax(dim=1))),
        WatchedLoop,
        "probabilities-into-cross-entropy",
        "softmax-before-cross-entropy",
    ),
    "a rate far too low": (
        lambda: supervised(perceptron(), optimizer=adam(1e-9)),
        LearningRates,
        "learning-rate-low",
        "learning-rate-too-low",
    ),
    "a rate far too high": (
        lambda: supervised(perceptron(), optimizer=adam(30.0)),
        LearningRates,
        "learning-rate-high",
        "learning-rate-too-high",
    ),
    "layers in a list": (
        lambda: supervised(Listed()),
        Reload,
        "layers-not-registered",
        "parameters-missing-from-optimizer",
    ),
    "a tensor that is not saved": (
        lambda: supervised(Loose()),
        Reload,
        "state-is-not-the-model",
        "buffer-not-registered",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_probe_finds_what_it_is_for_and_names_its_cause_first(fault: str) -> None:
    factory, probe, kind, expected = FAULTS[fault]
    found = look(factory, probe())
    assert [each.kind for each in found.findings][:1] == [kind], found
    assert found.findings[0].next_check
    if expected is not None:
        assert found.findings[0].causes[0].name == expected


def named_kinds(found: Any) -> list[str]:
    return [each.kind for each in found.findings]


class TwoInputs(nn.Module):
    """Takes two tensors and gives one and a state."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, None]:
        return self.one(left) + self.other(right), None


class Recurrent(nn.Module):
    """Guesses the next token from a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.layer, self.head = (
            nn.Embedding(7, 16),
            nn.GRU(16, 16, batch_first=True),
            nn.Linear(16, 7),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x))[0])


class Rounded(nn.Module):
    """Rounds inside, and passes the gradient straight through."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(8, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(x + (x.round() - x).detach())


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4))
    model.load_state_dict(model.state_dict())
    for value in model[0].parameters():
        value.requires_grad_(False)
    return model


HEALTHY: dict[str, Callable[[], Any]] = {
    "a perceptron": lambda: supervised(perceptron(), optimizer=adam(3e-3)),
    "a linear model of one feature": lambda: supervised(
        nn.Linear(1, 1), nn.MSELoss(), (numbers()[0][:, :1], numbers()[1])
    ),
    "batch normalisation and dropout": lambda: supervised(
        nn.Sequential(nn.Linear(8, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.5), nn.Linear(24, 4)),
        optimizer=adam(1e-3),
    ),
    "a summed loss and a small rate": lambda: supervised(
        perceptron(), nn.CrossEntropyLoss(reduction="sum"), optimizer=adam(1e-4)
    ),
    "label smoothing and weights": lambda: supervised(
        perceptron(), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0, 3.0]), label_smoothing=0.1)
    ),
    "a last layer of zeros": lambda: supervised(Around(perceptron(), after=lambda x: x * 0.01)),
    "log-probabilities and their loss": lambda: supervised(perceptron(4, nn.LogSoftmax(dim=1)), nn.NLLLoss()),
    "probabilities and their loss": lambda: supervised(
        perceptron(1, nn.Sigmoid()), nn.BCELoss(), (numbers()[0], (numbers()[1] > 0).float())
    ),
    "flags and a loss of logits": lambda: supervised(
        perceptron(1), nn.BCEWithLogitsLoss(), (numbers()[0], (numbers()[1] > 0).float())
    ),
    "a tanh that reaches its targets": lambda: supervised(
        perceptron(1, nn.Tanh()), nn.MSELoss(), (numbers()[0], numbers()[1] / 4)
    ),
    "a loss that scales outputs of a sigmoid": lambda: supervised(
        perceptron(1, nn.Sigmoid()), lambda a, b: functional.mse_loss(8 * a - 4, b), numbers()
    ),
    "large targets": lambda: supervised(
        perceptron(1), nn.MSELoss(), (numbers()[0], numbers()[1] * 100 + 1000), optimizer=adam(1e-2)
    ),
    "two inputs and a tuple for outputs": lambda: {
        "model": TwoInputs(),
        "loss": lambda output, target: functional.cross_entropy(output[0], target),
        "data": (classes()[0], classes()[0] * 2, classes()[1]),
    },
    "attention with a mask": lambda: supervised(Attention(), next_token, tokens(), optimizer=adam(1e-3)),
    "a recurrent layer": lambda: supervised(Recurrent(), next_token, tokens(), optimizer=adam(1e-3)),
    "a layer of two directions for no sequence": lambda: supervised(perceptron(), causal=False),
    "rounding with a straight gradient": lambda: supervised(Rounded()),
    "a frozen layer": lambda: supervised(frozen()),
    "an autoencoder": lambda: supervised(perceptron(8), nn.MSELoss(), (classes()[0], classes()[0])),
    "a loader": lambda: supervised(
        perceptron(), data=DataLoader(TensorDataset(*classes()), batch_size=16, shuffle=True)
    ),
    "augmented rows, held-out rows that are not": lambda: supervised(
        perceptron(), data=Noisy(0.1), validation=Noisy(0.0)
    ),
    "a registered projection": lambda: supervised(Loose(registered=True)),
    "a rate that tunes slowly": lambda: supervised(perceptron(), optimizer=adam(3e-5)),
    "plain descent with momentum": lambda: supervised(
        perceptron(), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    ),
    "a quasi-Newton optimizer": lambda: supervised(
        perceptron(), optimizer=lambda parameters: torch.optim.LBFGS(parameters, lr=0.5, max_iter=4)
    ),
    "one row": lambda: supervised(perceptron(), data=(classes()[0][:1], classes()[1][:1])),
}


@pytest.mark.parametrize("variant", HEALTHY)
def test_what_is_odd_but_right_stays_clean_under_all_probes(variant: str) -> None:
    found = look(HEALTHY[variant], *make_probes(), seconds=90)
    assert not kinds_of(found), found.findings
    assert "probe-failed" not in named_kinds(found), found.findings
    assert "subject-changed" not in named_kinds(found)
