"""Rows that networks learn from and are measured on, in programs that prepare them by hand."""

import io
import runpy
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from row_programs import STYLES
from watched import Told, plant, run_watched

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.sensors.rows.estimators import Estimators
from modelwright.doctor.sensors.rows.isolated import isolated
from modelwright.doctor.sensors.rows.network_rows import NetworkRows
from modelwright.doctor.watch.listening import Listening
from modelwright.doctor.watch.watch import Watch
from modelwright.faults.plant import plant as faulty
from modelwright.faults.plant import programs


def _run(program: str, folder: Path) -> Told:
    path = folder / "program.py"
    path.write_text(program)
    watch = Watch(lambda scene: [NetworkRows(scene), Estimators(scene)])
    listening = Listening(watch)
    listening.start()
    try:
        with redirect_stdout(io.StringIO()):
            variables = runpy.run_path(str(path))
        watch.end()
        return Told(findings=watch.findings(), variables=variables)
    finally:
        listening.stop()


def _needing_action(told: Told) -> Sequence[Finding]:
    return [
        each for each in told.findings if each.severity is not Severity.INFO or each.kind == "sensor-failed"
    ]


_READY = "# rows are ready"
_FAULTS = {
    "scaled with all rows, NumPy": (
        "numpy",
        [("mean, std = X[train].mean(0), X[train].std(0)", "mean, std = X.mean(0), X.std(0)")],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", "mean, std = X.mean(0), X.std(0)"),
    ),
    "scaled anew for the test rows, NumPy": (
        "numpy",
        [("(X[test] - mean) / std", "(X[test] - X[test].mean(0)) / X[test].std(0)")],
        ("preparation-fitted-anew-on-held-out-rows", "scaler-refitted-on-test", ""),
    ),
    "test rows as they are": (
        "numpy",
        [("(X[test] - mean) / std", "X[test]")],
        ("measured-outside-of-what-was-learnt", "preprocessing-differs-at-evaluation", "accuracy = "),
    ),
    "test rows in another unit": (
        "numpy",
        [("(X[test] - mean) / std", "(X[test] - mean) / std / 255")],
        ("measured-outside-of-what-was-learnt", "preprocessing-differs-at-evaluation", "accuracy = "),
    ),
    "a code among standardised values": (
        "numpy",
        [(_READY, "X[rng.random(480) < 0.06, 4] = -999")],
        ("missing-value-taken-for-number", "missing-value-code", "loss = "),
    ),
    "the target among the features": (
        "numpy",
        [(_READY, "X[:, 3] = 4.0 * y + 1")],
        ("feature-gives-target-away", "target-copied-into-feature", "loss = "),
    ),
    "split while sorted by label": (
        "numpy",
        [("order = rng.permutation(480)", "order = np.argsort(y)")],
        ("classes-differ-between-splits", "label-shift-between-splits", "loss = "),
    ),
    "rows that nearly are others": (
        "numpy",
        [(_READY, "X[240:], y[240:] = X[:240] + 1e-3 * rng.normal(size=(240, 9)), y[:240]")],
        ("near-copies-across-split", "group-in-both-splits", "loss = "),
    ),
    "labels of other rows": (
        "numpy",
        [(_READY, "rng.shuffle(y)")],
        ("targets-of-other-rows", "features-shuffled-against-labels", "rng.shuffle(y)"),
    ),
    "accuracy with rare positives": (
        "numpy",
        [(_READY, "y = (latent[:, 0] + 2 * rng.normal(size=480) > 3.8).astype('int64')")],
        ("accuracy-says-little", "accuracy-under-imbalance", "accuracy = "),
    ),
    "scaled with all rows, torch": (
        "torch",
        [
            ("centre = known.mean(dim=0)", "centre = x.mean(dim=0)"),
            (
                "(known - centre) / known.std(dim=0), (asked - centre) / known.std(dim=0)",
                "(known - centre) / x.std(dim=0), (asked - centre) / x.std(dim=0)",
            ),
        ],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", ""),
    ),
    "scaled with all rows, pandas": (
        "pandas",
        [("learn[columns].mean(), learn[columns].std()", "frame[columns].mean(), frame[columns].std()")],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", "constants = "),
    ),
    "scaled part by part, pandas": (
        "pandas",
        [
            (
                "(part[columns] - constants[0]) / constants[1]",
                "(part[columns] - part[columns].mean()) / part[columns].std()",
            )
        ],
        ("preparation-fitted-anew-on-held-out-rows", "scaler-refitted-on-test", ""),
    ),
    "brought to 0 and 1 with all rows": (
        "dataset",
        [
            ("X[:380].min(axis=0), X[:380].max(axis=0)", "X.min(axis=0), X.max(axis=0)"),
            (", drop_last=True", ""),
        ],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", "low, high = "),
    ),
    "scaled before random_split": (
        "split",
        [("chosen = inputs[list(seen.indices)]", "chosen = inputs.clone()")],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", "inputs.sub_"),
    ),
    "scaled with all folds": (
        "folds",
        [("fitted_on = X[others]", "fitted_on = X")],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", "centre, size = "),
    ),
    "targets of the rows before they were drawn": (
        "folds",
        [("goals[some]) ** 2", "goals[at : at + 48]) ** 2")],
        ("targets-of-other-rows", "features-shuffled-against-labels", "loss = "),
    ),
    "scaled anew in predict": (
        "wrapped",
        [
            (
                "(X - self.mean_) / self.scale_, dtype=torch.float32)\n        with",
                "(X - X.mean(axis=0)) / X.std(axis=0), dtype=torch.float32)\n        with",
            )
        ],
        ("preparation-fitted-anew-on-held-out-rows", "scaler-refitted-on-test", ""),
    ),
    "scaled with all rows, beside codes": (
        "codes",
        [("(X - X[train].mean(0)) / X[train].std(0)", "(X - X.mean(0)) / X.std(0)")],
        ("preparation-saw-held-out-rows", "scaler-fitted-on-all-rows", "scaled = "),
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_fault_in_rows_that_are_prepared_by_hand_is_named_first(fault: str, tmp_path: Path) -> None:
    style, edits, (kind, name, line) = _FAULTS[fault]
    told = _run(plant(STYLES[style], *edits), tmp_path)
    assert [each.kind for each in _needing_action(told)][:1] == [kind]
    found, at = told.first_cause
    assert found == name
    assert at.startswith(line)


_RIGHT = {
    **{style: (style, []) for style in STYLES},
    "rows that come centred from their source": (
        "numpy",
        [
            (_READY, "X = (X - X.mean(0)) / X.std(0) / np.sqrt(480)"),
            ("mean, std = X[train].mean(0), X[train].std(0)", "mean, std = 0.0, X[train].std(0)"),
        ],
    ),
    "ends cut off": (
        "dataset",
        [("self.rows = (rows - low) / (high - low)", "self.rows = ((rows - low) / (high - low)).clip(0, 1)")],
    ),
    "a shift by constants of no rows": (
        "numpy",
        [("mean, std = X[train].mean(0), X[train].std(0)", "mean, std = X[train].mean(0).round(), 10.0")],
    ),
    "each batch by its own statistics": (
        "numpy",
        [
            ("model(X_train[rows])", "model((X_train[rows] - X_train[rows].mean(0)) / X_train[rows].std(0))"),
        ],
    ),
    "rows to choose by scaled with those learnt from": (
        "numpy",
        [
            (
                "train, test = order[:360], order[360:]",
                "train, valid, test = order[:300], order[300:390], order[390:]",
            ),
            (
                "mean, std = X[train].mean(0), X[train].std(0)",
                "both = order[:390]; mean, std = X[both].mean(0), X[both].std(0)",
            ),
            (
                "        accuracy = (model(X_test).argmax(1) == y_test).float().mean().item()\n",
                "        v = torch.tensor((X[valid] - mean) / std, dtype=torch.float32)\n"
                "        accuracy = (model(v).argmax(1) == torch.tensor(y[valid])).float().mean().item()\n"
                "with torch.no_grad():\n"
                "    final = (model(X_test).argmax(1) == y_test).float().mean().item()\n",
            ),
        ],
    ),
    "rare rows drawn more often": (
        "numpy",
        [
            (
                "torch.randperm(len(X_train)).split(32)",
                "torch.multinomial(1.0 + 3 * y_train, 360, True).split(32)",
            )
        ],
    ),
    "mixed rows": (
        "numpy",
        [("model(X_train[rows])", "model(0.8 * X_train[rows] + 0.2 * X_train[rows.flip(0)])")],
    ),
    "a code with a column that says so": (
        "numpy",
        [
            (
                _READY,
                "gone = rng.random(480) < 0.06\nX[gone, 4] = -999\nX[:, 5] = gone",
            ),
            ("X[train].std(0)", "X[train].std(0) + 1e-9"),
        ],
    ),
    "labels counted from one where they are scored": (
        "numpy",
        [
            (_READY, "from sklearn.metrics import accuracy_score\ny = y + 2 * (latent[:, 2] > 0)"),
            ("nn.Linear(16, 2)", "nn.Linear(16, 4)"),
            (
                "        accuracy = (model(X_test).argmax(1) == y_test).float().mean().item()\n",
                "        said = model(X_test).argmax(1).numpy() + 1\n"
                "        accuracy = accuracy_score(y_test.numpy() + 1, said)\n",
            ),
        ],
    ),
    "labels that overlap": (
        "numpy",
        [(_READY, "y = (rng.random(480) < 1 / (1 + np.exp(-1.5 * latent[:, 0]))).astype('int64')")],
    ),
    "labels that change a little": (
        "numpy",
        [("y_train[rows])", "torch.where(torch.rand(len(rows)) < 0.2, 1 - y_train[rows], y_train[rows]))")],
    ),
    "rare positives with other scores": (
        "numpy",
        [
            (_READY, "y = (latent[:, 0] + 2 * rng.normal(size=480) > 3.8).astype('int64')"),
            ("== y_test).float().mean().item()", "== y_test)[y_test == 1].float().mean().item()"),
        ],
    ),
    "test rows of another place in some columns": (
        "numpy",
        [("(X[test] - mean) / std", "(X[test] - mean) / std + 4 * (np.arange(9) < 3)")],
    ),
}


@pytest.mark.parametrize("variant", _RIGHT)
def test_rows_that_are_prepared_rightly_raise_nothing(variant: str, tmp_path: Path) -> None:
    style, edits = _RIGHT[variant]
    assert _needing_action(_run(plant(STYLES[style], *edits), tmp_path)) == []


def test_a_watched_program_keeps_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "alone.py"
    path.write_text(STYLES["pandas"])
    alone = runpy.run_path(str(path))["net"].state_dict()
    watched = _run(STYLES["pandas"], tmp_path).variables["net"].state_dict()
    assert all((alone[name] == watched[name]).all() for name in alone)


def test_a_check_that_raises_is_left_out_alone() -> None:
    def check_odd() -> Sequence[Finding]:
        raise ZeroDivisionError("odd")

    (found,) = isolated(check_odd)
    assert found.kind == "sensor-failed"
    assert found.severity is Severity.INFO
    assert "check odd" in found.title


def test_what_a_network_teaches_itself_in_a_world_of_ones_own_are_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["program.py", "--seed", "1"])
    program = next(each for each in programs() if each.name == "pqn_inventory")
    variant = next(each for each in program.variants if each.name == "timeouts-end-by-choice")
    source = faulty(program.source, variant.edits).replace('if __name__ == "__main__":', "if True:")
    assert _needing_action(_run(source, tmp_path)) == []


_ASKED = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 6)
y = (x[:, 0] > 0).long()
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(150):
    rows = torch.randperm(256)[:64]
    loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        right = (net(ASKED).argmax(1) == WHOSE).float().mean()
"""


@pytest.mark.parametrize(("asked", "whose"), [("x", "y"), ("x[rows]", "y[rows]")])
def test_training_rows_that_are_measured_at_each_step_are_still_a_warning(
    asked: str, whose: str, tmp_path: Path
) -> None:
    program = _ASKED.replace("ASKED", asked).replace("WHOSE", whose)
    told = run_watched(program, tmp_path)
    found = [each.severity for each in told.findings if each.kind == "measured-on-training-rows"]
    assert found == [Severity.WARNING]
