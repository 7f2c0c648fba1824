"""`mw.Doctor` in a loop of one's own: before and after models were made, nested, in threads, with errors."""

import gc
import logging
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
import torch
from torch import nn

import modelwright as mw
from modelwright.base.errors import NotPermitted


class Problem:
    """A small classifier, its optimizer, and a loop that may forget to clear gradients."""

    def __init__(self, *, seed: int = 0) -> None:
        made = torch.Generator().manual_seed(seed)
        self.x = torch.randn(256, 16, generator=made)
        self.y = (self.x[:, 0] > 0).long()
        self.model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        self.rows = made

    def train(self, *, steps: int = 30, clear: bool = True) -> list[float]:
        losses: list[float] = []
        for _ in range(steps):
            rows = torch.randperm(256, generator=self.rows)[:32]
            if clear:
                self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(self.x[rows]), self.y[rows])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses


def kinds(doctor: mw.Doctor) -> list[str]:
    return [each.kind for each in doctor.findings() if each.severity is not mw.Severity.INFO]


KEPT = ["gradients-kept-across-steps"]


def is_put_back() -> bool:
    return (
        not torch.overrides._get_current_function_mode_stack()  # pyright: ignore[reportPrivateUsage]
        and not nn.modules.module._global_forward_hooks  # pyright: ignore[reportPrivateUsage]
        and torch.autograd.backward.__code__.co_filename.startswith(torch.__path__[0])
        and torch.optim.Optimizer.__init__.__code__.co_filename.startswith(torch.__path__[0])
    )


def test_a_loop_whose_model_was_made_before_is_watched() -> None:
    problem = Problem()
    with mw.Doctor() as doctor:
        problem.train()
    assert kinds(doctor) == []
    assert doctor.steps == 30
    assert doctor.is_well
    assert is_put_back()
    problem = Problem()
    with mw.Doctor() as doctor:
        problem.train(clear=False)
    assert kinds(doctor) == KEPT
    assert not doctor.is_well
    cause = doctor.findings()[0].causes[0]
    assert cause.file == __file__
    assert "doctor: watched 30 steps" in doctor.report()
    assert "loss.backward()" in doctor.report()


def test_an_optimizer_made_before_is_known_when_it_steps() -> None:
    problem = Problem()
    problem.optimizer = torch.optim.Adam(problem.model[2].parameters(), lr=1e-2)
    with mw.Doctor() as doctor:
        problem.train()
    assert kinds(doctor) == ["parameters-in-no-optimizer"]


def test_parameters_that_were_trained_before_may_stay_as_they_are() -> None:
    problem = Problem()
    problem.train(steps=100)
    problem.model[2] = nn.Linear(32, 2)
    problem.optimizer = torch.optim.Adam(problem.model[2].parameters(), lr=1e-2)
    problem.model[0].requires_grad_(False)
    with mw.Doctor() as doctor:
        problem.train()
    assert kinds(doctor) == []


def test_numbers_are_those_of_the_loop_alone() -> None:
    torch.manual_seed(0)
    alone = Problem().train()
    torch.manual_seed(0)
    with mw.Doctor():
        watched = Problem().train()
    assert watched == alone


def test_a_second_doctor_watches_inside_of_the_first() -> None:
    outer_problem, inner_problem = Problem(), Problem(seed=1)
    with mw.Doctor() as outer:
        outer_problem.train()
        with mw.Doctor() as inner:
            inner_problem.train(clear=False)
        outer_problem.train()
    assert (kinds(inner), inner.steps) == (KEPT, 30)
    assert (kinds(outer), outer.steps) == (KEPT, 90)
    assert is_put_back()


def test_doctors_may_stop_in_the_order_in_which_they_began() -> None:
    one = mw.Doctor().start()
    problem = Problem()
    problem.train(steps=5)
    other = mw.Doctor().start()
    problem.train(clear=False)
    one.stop()
    Problem().train()
    other.stop()
    assert (one.steps, other.steps) == (35, 60)
    assert kinds(one) == kinds(other) == KEPT
    assert is_put_back()


def test_an_error_in_the_loop_goes_on_its_way_and_what_was_found_stays() -> None:
    problem = Problem()
    doctor = mw.Doctor()

    def fail() -> None:
        with doctor:
            problem.train(clear=False)
            problem.model(torch.ones(3, 3))

    with pytest.raises(RuntimeError, match="shapes"):
        fail()
    assert kinds(doctor) == KEPT
    assert "ended by RuntimeError" in doctor.report()
    assert is_put_back()


def test_it_follows_the_thread_that_learns() -> None:
    with mw.Doctor() as doctor:
        thread = threading.Thread(target=lambda: Problem().train(clear=False))
        thread.start()
        thread.join()
    assert kinds(doctor) == KEPT
    assert is_put_back()


def test_findings_may_be_asked_for_in_another_thread_while_it_learns() -> None:
    problem = Problem()
    asked: list[Any] = []
    with mw.Doctor() as doctor:
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                asked.append(doctor.findings())

        thread = threading.Thread(target=ask)
        thread.start()
        problem.train(clear=False)
        ended.set()
        thread.join()
    assert asked
    assert [each.kind for each in doctor.findings()] == KEPT


def test_each_start_begins_anew_and_two_at_once_are_refused() -> None:
    doctor = mw.Doctor()
    with doctor:
        Problem().train(clear=False)
    with doctor:
        Problem().train()
        with pytest.raises(NotPermitted, match="stopped before it starts again"):
            doctor.start()
    assert kinds(doctor) == []
    doctor.stop()
    assert doctor.steps == 30


def test_what_was_watched_is_let_go() -> None:
    problem = Problem()
    with mw.Doctor() as doctor:
        problem.train(clear=False)
    known = weakref.ref(problem.model)
    del problem
    gc.collect()
    assert known() is None
    assert kinds(doctor) == KEPT


def test_rounds_tell_what_is_new_once() -> None:
    problem = Problem()
    with mw.Doctor() as doctor:
        told = []
        for _ in range(80):
            problem.train(steps=1, clear=False)
            told.append([each.kind for each in doctor.round()])
    assert [each for each in told if each] == [KEPT]
    assert doctor.round() == []


def test_a_notebook_shows_findings_as_html_and_as_markdown() -> None:
    problem = Problem()
    with mw.Doctor() as doctor:
        problem.train(clear=False)
    html, markdown = doctor._repr_html_(), doctor._repr_markdown_()
    assert "<code>gradients-kept-across-steps</code>" in html
    assert "loss.backward()" in html
    assert "**severe**" in markdown
    assert "`gradients-kept-across-steps`" in markdown
    assert "Nothing wrong was found." in mw.Doctor()._repr_html_()


def test_modelwright_loads_no_torch_until_a_doctor_starts() -> None:
    code = (
        "import sys, modelwright as mw; d = mw.Doctor(); print('torch' in sys.modules);"
        "d.start(); print('torch' in sys.modules); import torch;"
        "p = torch.nn.Linear(2, 1); o = torch.optim.SGD(p.parameters(), lr=0.1);"
        "p(torch.ones(1, 2)).sum().backward(); o.step(); d.stop(); print(d.steps)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", "False", "1"]


# ---- as callbacks ----


def test_a_callback_of_stable_baselines_watches_a_call_of_learn(caplog: pytest.LogCaptureFixture) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    doctor = mw.StableBaselinesDoctor()
    settings: dict[str, Any] = {"n_steps": 64, "batch_size": 64, "device": "cpu", "seed": 0}
    with caplog.at_level(logging.INFO, logger="modelwright.doctor"):
        sb3.PPO("MlpPolicy", "CartPole-v1", ent_coef=-0.01, **settings).learn(512, callback=doctor)
    assert [each.kind for each in doctor.findings()] == ["entropy-is-punished"]
    assert caplog.text.count("entropy-is-punished") == 1
    assert is_put_back()


def test_a_callback_of_stable_baselines_ends_training_where_that_is_asked_for() -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    doctor = mw.StableBaselinesDoctor(stop_on_severe=True)
    settings: dict[str, Any] = {"n_steps": 64, "batch_size": 64, "device": "cpu", "seed": 0}
    model = sb3.PPO("MlpPolicy", "CartPole-v1", ent_coef=-0.01, **settings)
    model.learn(2000, callback=doctor)
    assert 64 < model.num_timesteps < 1000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ends", [False, True])
def test_a_callback_of_lightning_watches_a_fit(ends: bool, caplog: pytest.LogCaptureFixture) -> None:
    lightning: Any = pytest.importorskip("lightning")
    torch.manual_seed(0)
    problem = Problem()

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = problem.model
            self.automatic_optimization = False

        def training_step(self, batch: Any, at: int) -> None:
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            self.manual_backward(loss)
            self.optimizers().step()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-2)

    doctor = mw.LightningDoctor(stop_on_severe=ends)
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = lightning.Trainer(max_epochs=20, accelerator="cpu", callbacks=[doctor], **quiet)
    rows = torch.utils.data.TensorDataset(problem.x, problem.y)
    with caplog.at_level(logging.INFO, logger="modelwright.doctor"):
        trainer.fit(Module(), torch.utils.data.DataLoader(rows, batch_size=32, shuffle=True))
    learnt = [] if ends else ["nothing-learnt"]  # of gradients that are never cleared
    assert [each.kind for each in doctor.findings()] == [*KEPT, *learnt]
    assert caplog.text.count(KEPT[0]) == 1
    assert trainer.global_step == (50 if ends else 160)
    assert is_put_back()
