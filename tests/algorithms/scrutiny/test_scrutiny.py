"""Outside functions held to ours: mistakes are found and named, correct conventions are left alone."""

# ruff: noqa: NPY002

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scrutiny_batches import RIGHT, WRONG
from scrutiny_mistakes import BANK
from scrutiny_styles import STYLES

import modelwright as mw
from modelwright.algorithms.scrutiny.scrutiny import scrutinize_function
from modelwright.algorithms.scrutiny.subjects import ALIASES, SUBJECTS, find_subject
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.seed import derive_seeds

NAMES = tuple(SUBJECTS)


def plain_gae(rewards, values, dones, next_value, gamma, lam):
    advantages, last = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        following = next_value if t == len(rewards) - 1 else values[t + 1]
        delta = rewards[t] + gamma * following * (1 - dones[t]) - values[t]
        advantages[t] = last = delta + gamma * lam * (1 - dones[t]) * last
    return advantages


# ---- the bank ----


@pytest.mark.slow
def test_planted_mistakes_are_all_found_and_nearly_all_named_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = []
    for subject, function, name in BANK:
        found = scrutinize_function(function, subject)
        names = [mistake.name for mistake in found.mistakes]
        rows.append((subject, function.__name__, name, found.outcome, names))
        size = sum(np.size(value) for value in found.difference.inputs.values()) if found.difference else 0
        assert size <= 80, function.__name__
    with capsys.disabled():
        print()
        for subject, function, name, outcome, names in rows:
            print(f"{subject:22} {function:26} {outcome:8} {name:28} {', '.join(names)}")
    assert len(rows) >= 30
    assert {subject for subject, *_ in rows} == set(NAMES) | {"ppo:gae"}
    assert [row for row in rows if row[3] != "differs"] == []
    assert sum(names[:1] == [name] for *_, name, _, names in rows) >= 0.9 * len(rows)


@pytest.mark.parametrize(
    ("subject", "function", "name"), BANK[::6], ids=lambda each: getattr(each, "__name__", each)
)
def test_a_planted_mistake_is_found_and_named(subject: str, function: Callable[..., Any], name: str) -> None:
    found = scrutinize_function(function, subject)
    assert found.outcome == "differs"
    assert found.mistakes[0].name == name


@pytest.mark.parametrize(("subject", "function"), STYLES, ids=lambda each: getattr(each, "__name__", each))
def test_a_correct_function_in_its_own_convention_is_left_alone(
    subject: str, function: Callable[..., Any]
) -> None:
    found = scrutinize_function(function, subject)
    assert found.agrees, str(found)
    assert sum(found.cases.values()) >= 8


# ---- references ----


@pytest.mark.parametrize("name", NAMES)
def test_every_subject_has_edge_cases_and_mistakes_that_differ_from_the_reference(name: str) -> None:
    subject = find_subject(name)
    (seed,) = derive_seeds("tests", 1)
    cases = subject.cases(seed.generator("inputs"))
    assert len(cases) >= 8
    assert sum(case.screening for case in cases) >= 3
    assert len({case.name for case in cases}) >= 6
    ways = [list(choice.values) for choice in subject.choices.values()]
    every = [dict(zip(subject.choices, values, strict=True)) for values in itertools.product(*ways)]
    for mistake in subject.mistakes:
        differs = False
        for chosen in every:
            for case in cases:
                with np.errstate(all="ignore"):
                    ours = subject.reference(dict(case.inputs), chosen)
                    try:
                        theirs = mistake.outputs(dict(case.inputs), chosen)
                    except (ValueError, IndexError):  # it cannot be made on inputs of every shape
                        continue
                for output, value in theirs.items():
                    one, two = np.asarray(value, float), np.asarray(ours[output], float)
                    differs |= one.shape != two.shape or not np.allclose(one, two, equal_nan=True)
            if differs:
                break
        assert differs, f"{mistake.name} computes what is right"


def test_references_are_those_of_a_slow_loop() -> None:
    """The learner's own functions, by another hand."""
    (seed,) = derive_seeds("tests", 1)
    for case in find_subject("ppo:gae").cases(seed.generator("inputs")):
        x = case.inputs
        found = find_subject("ppo:gae").reference(x, {})
        steps, copies = x["rewards"].shape
        for copy in range(copies):
            after = 0.0
            for t in reversed(range(steps)):
                over = x["terminated"][t, copy] or x["truncated"][t, copy]
                following = x["last_value"][copy] if t == steps - 1 else x["values"][t + 1, copy]
                following = x["final_values"][t, copy] if over else following
                following = 0.0 if x["terminated"][t, copy] else following
                delta = x["rewards"][t, copy] + x["gamma"] * following - x["values"][t, copy]
                after = delta + (0.0 if over else x["gamma"] * x["lam"] * after)
                assert found["advantage"][t, copy] == pytest.approx(after, rel=1e-9, abs=1e-9)
    for case in find_subject("c51:project").cases(seed.generator("inputs")):
        x = case.inputs
        found = find_subject("c51:project").reference(x, {})["projected"]
        count = x["next_probs"].shape[1]
        z = np.linspace(x["v_min"], x["v_max"], count)
        for row in range(len(found)):
            wanted = np.zeros(count)
            for j in range(count):
                moved = np.clip(
                    x["rewards"][row] + x["gamma"] * (not x["terminated"][row]) * z[j], x["v_min"], x["v_max"]
                )
                wanted += x["next_probs"][row, j] * np.clip(1 - np.abs(moved - z) / (z[1] - z[0]), 0, 1)
            assert found[row] == pytest.approx(wanted, abs=1e-9)


# ---- readings ----


def test_names_that_say_nothing_are_mapped() -> None:
    def opaque(p0, p1, p2, p3, p4, p5):
        return plain_gae(p0, p1, p2, p3, p4, p5)

    mapping = dict(zip(("rewards", "values", "dones", "last_value", "gamma", "lam"),
                       (f"p{at}" for at in range(6)), strict=True))  # fmt: skip
    assert scrutinize_function(opaque, "ppo:gae", mapping=mapping).agrees


def test_a_layout_can_be_demanded() -> None:
    def turned(rewards, values, dones, next_value, gamma, lam):
        return plain_gae(rewards.T, values.T, dones.T, next_value, gamma, lam).T

    assert scrutinize_function(turned, "ppo:gae").agrees
    assert scrutinize_function(turned, "ppo:gae").reading["layout"] == "copy,step"
    assert not scrutinize_function(turned, "ppo:gae", layout="step,copy").agrees


def test_a_layout_that_the_text_announces_is_the_only_one() -> None:
    def documented(rewards, values, dones, next_value, gamma, lam):
        """Everything is (num_steps, num_envs)."""
        return plain_gae(rewards.T, values.T, dones.T, next_value, gamma, lam).T

    assert not scrutinize_function(documented, "ppo:gae").agrees


def test_a_convention_that_is_an_error_by_default_can_be_allowed() -> None:
    def standard(adv):
        return (adv - np.mean(adv)) / (np.std(adv) + 1e-8)

    assert scrutinize_function(standard, "ppo:normalize").mistakes[0].name == "population-deviation"
    assert scrutinize_function(standard, "ppo:normalize", conventions={"deviation": "n"}).agrees


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mapping": {"rewads": "rewards"}}, "rewards"),
        ({"mapping": {"rewards": "rewads"}}, "rewards"),
        ({"layout": "copies"}, "copy"),
        ({"conventions": {"half": "no"}}, "convention"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UnknownName, match=words):
        scrutinize_function(plain_gae, "ppo:gae", **options)


def test_what_cannot_be_called_is_refused_with_the_arguments_that_are_known() -> None:
    def many(u1, u2, u3, u4, u5, u6, u7, u8, u9, u10, u11, u12, u13, u14, u15, u16, u17):
        return 0.0

    with pytest.raises(BadValue, match=r"--map .*rewards"):
        scrutinize_function(many, "ppo:gae")
    with pytest.raises(BadValue, match="not a class"):
        scrutinize_function(dict, "ppo:gae")
    found = scrutinize_function(lambda rewards, values, dones, next_value, gamma, lam: 1 / 0, "ppo:gae")
    assert found.outcome == "not compared"
    assert "ZeroDivisionError" in str(found)


# ---- what else is seen ----


def test_an_exception_on_some_inputs_is_a_difference_with_the_smallest_of_them() -> None:
    def fails(rewards, values, dones, next_value, gamma, lam):
        if len(rewards) == 1:
            raise RuntimeError("too short")
        return plain_gae(rewards, values, dones, next_value, gamma, lam)

    found = scrutinize_function(fails, "ppo:gae")
    assert found.outcome == "differs"
    assert found.difference is not None
    assert found.difference.kind == "raises"
    assert set(found.differing) == {"length one", "batch one, length one"}


def test_the_smallest_input_is_small() -> None:
    def unmasked(rewards, values, dones, next_value, gamma, lam):
        return plain_gae(rewards, values, 0 * dones, next_value, gamma, lam)

    found = scrutinize_function(unmasked, "ppo:gae")
    assert found.difference is not None
    assert found.difference.told["rewards"].shape == (1, 1)
    assert found.difference.told["dones"].all()
    assert set(np.unique(found.difference.told["rewards"])) <= {0.0, 1.0}


def test_changed_arguments_random_numbers_and_chance_are_remarked() -> None:
    def dirty(rewards, values, dones, next_value, gamma, lam):
        out = plain_gae(rewards, values, dones, next_value, gamma, lam)
        rewards *= 0.0
        np.random.rand()
        return out

    found = scrutinize_function(dirty, "ppo:gae")
    assert found.agrees
    assert any("changes its argument rewards" in text for text in found.remarks)
    assert any("global random stream" in text for text in found.remarks)
    clean = scrutinize_function(plain_gae, "ppo:gae")
    assert clean.remarks == ()


def test_a_gradient_that_is_cut_is_seen_though_values_agree() -> None:
    def cut(logp, logp_old, adv, clip):
        ratio = (logp - logp_old).detach().exp()
        return -torch.min(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv).mean()

    assert scrutinize_function(cut, "ppo:loss").mistakes[0].name == "gradient-cut"


def test_the_global_random_state_is_left_alone() -> None:
    np.random.seed(5)
    torch.manual_seed(5)
    before = np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()
    scrutinize_function(plain_gae, "ppo:gae")
    assert before == (np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes())


def test_the_same_function_gets_the_same_answer_twice() -> None:
    def swapped(rewards, values, dones, next_value, gamma, lam):
        return plain_gae(rewards, values, dones, next_value, lam, gamma)

    one, two = (json.dumps(scrutinize_function(swapped, "ppo:gae").record()) for _ in range(2))
    assert one == two
    assert json.loads(one)["mistakes"][0]["name"] == "gamma-lambda-swapped"


def test_python_offers_it_too() -> None:
    assert mw.scrutinize(plain_gae, "ppo:gae").agrees
    assert ALIASES["ppo:gae"] == "returns:gae"


@pytest.mark.parametrize(("subject", "function"), RIGHT, ids=lambda each: getattr(each, "__name__", None))
def test_batches_lists_and_windows_are_read_as_they_are_meant(subject: str, function: Any) -> None:
    found = scrutinize_function(function, subject)
    assert found.outcome == "agrees", found


@pytest.mark.parametrize(
    ("subject", "function", "name"), WRONG, ids=lambda each: getattr(each, "__name__", None)
)
def test_no_reading_of_a_batch_or_a_row_hides_a_mistake(subject: str, function: Any, name: str) -> None:
    found = scrutinize_function(function, subject)
    assert found.outcome == "differs"
    assert found.mistakes[0].name == name


def test_the_smallest_input_shows_what_was_read_from_a_batch() -> None:
    (function,) = [each for _, each, _ in WRONG if each.__name__ == "path_without_its_dones"]
    difference = scrutinize_function(function, "ppo:gae").difference
    assert difference is not None
    assert {"batch.rewards", "batch.values", "batch.next_values", "gamma", "lam"} <= set(difference.told)
