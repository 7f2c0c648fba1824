"""Faults of a training loop, each planted in a program that works: found, named first, its line shown."""

from pathlib import Path

import pytest
from watched import DIGITS, plant, run_watched

_LATE = "losses = []\n"
_SCHEDULE = "schedule = torch.optim.lr_scheduler.{}\n" + _LATE
_STEP = "        optimizer.step()\n"
_SORTED = """order = seen_labels.argsort()
seen, seen_labels = seen[order], seen_labels[order]
batches ="""
_NEW_MODEL = "model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))\n"

FAULTS = {
    "gradients never cleared": (
        [("        optimizer.zero_grad()\n", "")],
        ("zero-grad-missing", "loss.backward()"),
    ),
    "gradients cleared once an epoch": (
        [
            ("        optimizer.zero_grad()\n", ""),
            ("    model.train()\n", "    optimizer.zero_grad()\n    model.train()\n"),
        ],
        ("zero-grad-missing", "optimizer.zero_grad()"),
    ),
    "gradients cleared before the step": (
        [
            ("        optimizer.zero_grad()\n", ""),
            ("        loss.backward()\n", "        loss.backward()\n        optimizer.zero_grad()\n"),
        ],
        ("zero-grad-after-backward", "optimizer.zero_grad()"),
    ),
    "the model made again after the optimizer": (
        [(_LATE, _NEW_MODEL + _LATE)],
        ("optimizer-holds-old-parameters", "optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)"),
    ),
    "one layer only in the optimizer": (
        [("Adam(model.parameters()", "Adam(model[0].parameters()")],
        ("parameters-missing-from-optimizer", "optimizer = torch.optim.Adam(model[0].parameters(), lr=2e-3)"),
    ),
    "a layer cut off": (
        [
            (
                "criterion(model(x), y)",
                "criterion(model[3](model[2](model[1](model[0](x)).detach())), y)",
            )
        ],
        (
            "graph-detached",
            "loss = criterion(model[3](model[2](model[1](model[0](x)).detach())), y)",
        ),
    ),
    "a layer used without gradients": (
        [
            (
                "criterion(model(x), y)",
                "criterion(model[3](model[2](model[1](hidden(x)))), y)",
            ),
            (
                _LATE,
                "def hidden(x):\n    with torch.no_grad():\n        return model[0](x)\n\n\n" + _LATE,
            ),
        ],
        ("graph-detached", "loss.backward()"),
    ),
    "a head made anew after the second optimizer": (
        [
            (
                "    model.train()\n",
                "    if epoch == 2:\n"
                "        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)\n"
                "        model[3] = nn.Linear(32, 10)\n"
                "    model.train()\n",
            )
        ],
        ("optimizer-holds-old-parameters", "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)"),
    ),
    "a random layer frozen": (
        [(_LATE, "model[0].weight.requires_grad_(False)\n" + _LATE)],
        ("layers-frozen", ""),
    ),
    "softmax before the loss": (
        [("nn.Linear(32, 10))", "nn.Linear(32, 10), nn.Softmax(dim=1))")],
        ("softmax-before-cross-entropy", "loss = criterion(model(x), y)"),
    ),
    "a loss of log-probabilities without them": (
        [("nn.CrossEntropyLoss()", "nn.NLLLoss()")],
        ("log-softmax-missing", "loss = criterion(model(x), y)"),
    ),
    "evaluation mode forgotten": (
        [("    model.eval()\n", "")],
        (
            "eval-mode-missing",
            "right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)",
        ),
    ),
    "training mode not restored": (
        [("    model.train()\n", ""), (_LATE, "model.train()\n" + _LATE)],
        ("train-mode-not-restored", "model.eval()"),
    ),
    "a schedule that never steps": (
        [(_LATE, _SCHEDULE.format("StepLR(optimizer, 2)"))],
        ("scheduler-never-stepped", "schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)"),
    ),
    "a schedule in epochs stepped for each batch": (
        [
            (_LATE, _SCHEDULE.format("CosineAnnealingLR(optimizer, T_max=5)")),
            (_STEP, _STEP + "        schedule.step()\n"),
        ],
        ("scheduler-stepped-per-batch", "schedule.step()"),
    ),
    "a decay in epochs stepped for each batch": (
        [
            (_LATE, _SCHEDULE.format("ExponentialLR(optimizer, 0.9)")),
            (_STEP, _STEP + "        schedule.step()\n"),
        ],
        ("scheduler-stepped-per-batch", "schedule.step()"),
    ),
    "clipping after the step": (
        [(_STEP, _STEP + "        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)\n")],
        ("clip-after-step", "nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)"),
    ),
    "constant first weights": (
        [(_LATE, "nn.init.constant_(model[0].weight, 0.05)\n" + _LATE)],
        ("constant-initialisation", ""),
    ),
    "large first weights": (
        [(_LATE, "nn.init.normal_(model[0].weight)\n" + _LATE)],
        ("initialisation-too-large", ""),
    ),
    "units that are never on": (
        [(_LATE, "nn.init.constant_(model[0].bias, -30.0)\n" + _LATE)],
        ("dead-relu", "loss = criterion(model(x), y)"),
    ),
    "inputs not scaled": (
        [("images / 16.0", "images * 16.0")],
        ("inputs-not-scaled", "loss = criterion(model(x), y)"),
    ),
    "rows sorted by label": (
        [
            ("shuffle=True", "shuffle=False"),
            (
                "batches =",
                _SORTED,
            ),
        ],
        ("batches-sorted-by-label", "loss = criterion(model(x), y)"),
    ),
    "a learning rate far too high": (
        [("lr=2e-3", "lr=10.0")],
        ("learning-rate-too-high", "optimizer = torch.optim.Adam(model.parameters(), lr=10.0)"),
    ),
    "a learning rate far too low": (
        [("lr=2e-3", "lr=1e-8")],
        ("learning-rate-too-low", "optimizer = torch.optim.Adam(model.parameters(), lr=1e-8)"),
    ),
    "labels that belong to other rows": (
        [("batches =", "seen_labels = seen_labels[torch.randperm(len(seen_labels))]\nbatches =")],
        ("features-shuffled-against-labels", "loss = criterion(model(x), y)"),
    ),
    "softmax over the rows": (
        [
            ("nn.Linear(32, 10))", "nn.Linear(32, 10), nn.LogSoftmax(dim=0))"),
            ("nn.CrossEntropyLoss()", "nn.NLLLoss()"),
        ],
        ("softmax-over-wrong-axis", "loss = criterion(model(x), y)"),
    ),
    "weights of classes upside down": (
        [
            (
                "batches =",
                "kept = (seen_labels > 2) | (torch.rand(len(seen)) < 0.1)\n"
                "seen, seen_labels = seen[kept], seen_labels[kept]\nbatches =",
            ),
            ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(weight=seen_labels.bincount() / 100)"),
        ],
        ("class-weights-inverted", "loss = criterion(model(x), y)"),
    ),
    "measured on training rows": (
        [("TensorDataset(held_out, held_out_labels)", "TensorDataset(seen, seen_labels)")],
        (
            "evaluated-on-training-rows",
            "right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)",
        ),
    ),
    "copies of rows on both sides": (
        [("batches =", "held_out[::2], held_out_labels[::2] = seen[:180], seen_labels[:180]\nbatches =")],
        (
            "duplicates-across-split",
            "right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)",
        ),
    ),
    "a state that is no copy": (
        [
            (_LATE, "best = model.state_dict()\n" + _LATE),
            ("    with torch.no_grad():\n", "    model.load_state_dict(best)\n    with torch.no_grad():\n"),
        ],
        ("best-weights-aliased", "best = model.state_dict()"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(DIGITS, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause == expected


VARIANTS = {
    "as it is": [],
    "cleared at the end": [
        ("        optimizer.zero_grad()\n", ""),
        (_STEP, _STEP + "        optimizer.zero_grad()\n"),
    ],
    "a negative loss that is made larger": [
        ("criterion(model(x), y)", "-criterion(model(x), y)"),
        ("lr=2e-3)", "lr=2e-3, maximize=True)"),
    ],
    "cleared by the model": [("        optimizer.zero_grad()\n", "        model.zero_grad()\n")],
    "cleared by hand": [
        (
            "        optimizer.zero_grad()\n",
            "        for p in model.parameters():\n            p.grad = None\n",
        )
    ],
    "set to zero by hand": [
        (
            "        optimizer.zero_grad()\n",
            "        for p in model.parameters():\n            p.grad is None or p.grad.zero_()\n",
        )
    ],
    "accumulated over two batches": [
        ("        optimizer.zero_grad()\n", ""),
        (
            _STEP,
            "        if len(losses) % 2:\n            optimizer.step()\n            optimizer.zero_grad()\n",
        ),
    ],
    "log-softmax before cross-entropy": [("nn.Linear(32, 10))", "nn.Linear(32, 10), nn.LogSoftmax(dim=1))")],
    "a last layer of zeros": [(_LATE, "nn.init.zeros_(model[3].weight)\n" + _LATE)],
    "summed loss and a smaller rate": [
        ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(reduction='sum')"),
        ("torch.optim.Adam(model.parameters(), lr=2e-3)", "torch.optim.SGD(model.parameters(), lr=2e-3)"),
    ],
    "sorted rows that are shuffled": [
        (
            "batches =",
            _SORTED,
        )
    ],
    "rows in random order that are not shuffled": [("shuffle=True", "shuffle=False")],
    "a schedule over all batches": [
        (_LATE, _SCHEDULE.format("CosineAnnealingLR(optimizer, T_max=5 * len(batches))")),
        (_STEP, _STEP + "        schedule.step()\n"),
    ],
    "warm-up for each batch": [
        (_LATE, _SCHEDULE.format("LinearLR(optimizer, 0.1, total_iters=20)")),
        (_STEP, _STEP + "        schedule.step()\n"),
    ],
    "clipped in time": [
        (_STEP, "        nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n" + _STEP),
    ],
    "a trained layer frozen later": [
        ("    model.train()\n", "    model.train()\n    model[0].requires_grad_(epoch < 2)\n")
    ],
    "weights of classes against their frequency": [
        (
            "batches =",
            "kept = (seen_labels > 2) | (torch.rand(len(seen)) < 0.1)\n"
            "seen, seen_labels = seen[kept], seen_labels[kept]\nbatches =",
        ),
        ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(weight=100 / seen_labels.bincount())"),
    ],
    "measured on both sides": [
        (
            "    model.eval()\n",
            "    model.eval()\n    with torch.no_grad():\n"
            "        known = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in batches)\n",
        )
    ],
    "a softmax over rows that no loss of classes takes": [
        ("criterion(model(x), y)", "criterion(model(x), y) + 0.1 * model(x).softmax(dim=0).square().sum()")
    ],
    "a second optimizer for finer steps": [
        (
            "    model.train()\n",
            "    if epoch == 2:\n"
            "        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)\n"
            "    model.train()\n",
        )
    ],
    "the best state restored": [
        (_LATE, "import copy\n" + _LATE),
        (
            "    with torch.no_grad():\n",
            "    model.load_state_dict(copy.deepcopy(model.state_dict()))\n    with torch.no_grad():\n",
        ),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    told = run_watched(plant(DIGITS, *VARIANTS[variant]), tmp_path)
    assert told.findings == []
