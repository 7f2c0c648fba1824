"""Errors: the tree, the four parts of a message, the nearest name, and the way through a process."""

import copy
import dataclasses
import json
import pickle
import string
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base import errors
from modelwright.base.errors import (
    BadValue,
    Corrupted,
    Deviated,
    Misuse,
    ModelwrightError,
    NotPermitted,
    SourceMissing,
    StoreFailed,
    UnknownName,
    Untrusted,
    WorkerLost,
    WorldFailed,
    nearest_name,
)

FAMILIES = {
    Misuse: (UnknownName, BadValue, NotPermitted),
    WorldFailed: (StoreFailed, WorkerLost, SourceMissing),
    Untrusted: (Corrupted, Deviated),
}
LEAVES = [leaf for leaves in FAMILIES.values() for leaf in leaves]
PLAIN = [leaf for leaf in LEAVES if leaf is not UnknownName]

# --- the tree


def test_every_error_belongs_to_exactly_one_of_three_families() -> None:
    public = {getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert public == {ModelwrightError, *FAMILIES, *LEAVES}
    for family, leaves in FAMILIES.items():
        assert family.__bases__ == (ModelwrightError,)
        assert {leaf for leaf in LEAVES if issubclass(leaf, family)} == set(leaves)


def test_the_drawn_tree_is_the_tree() -> None:
    def draw(kind: type, depth: int) -> list[tuple[int, str]]:
        below = [line for child in kind.__subclasses__() for line in draw(child, depth + 1)]
        return [(depth, kind.__name__), *below]

    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("├──", "+").replace("└──", "+").replace("│", " ").split()
        if words and words[0] == "ModelwrightError":
            drawn.append((0, words[0]))
        elif words and words[0] == "+":
            drawn.append((2 if line.index("──") > 6 else 1, words[1]))
    assert drawn == draw(ModelwrightError, 0)


@pytest.mark.parametrize(("family", "status"), [(Misuse, 2), (WorldFailed, 3), (Untrusted, 4)])
def test_the_family_decides_the_exit_status(
    family: type[ModelwrightError],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from modelwright import cli

    for leaf in FAMILIES[family]:
        error = (
            UnknownName("cheese", "gooda", ["gouda"]) if leaf is UnknownName else leaf("It holds", got="not")
        )

        def fail(_: object, error: ModelwrightError = error) -> int:
            raise error

        def nothing(_: object) -> None:
            return None

        command = next(iter(cli.COMMANDS.values()))
        monkeypatch.setitem(cli.COMMANDS, "fail", dataclasses.replace(command, arguments=nothing, run=fail))
        assert cli.main(["fail"]) == status
        assert error.rule in capsys.readouterr().err
        assert cli.main(["fail", "--json"]) == status
        told = json.loads(capsys.readouterr().out)
        assert (told["error"], told["rule"], told["got"]) == (leaf.__name__, error.rule, error.got)


# --- the message


def test_a_message_gives_rule_got_nearest_and_next_step() -> None:
    error = BadValue("A share lies between 0 and 1", got=1.5, nearest="1", next_step="set split.test")
    assert str(error) == "A share lies between 0 and 1. Got 1.5. Nearest: 1. Next: set split.test."
    assert (error.rule, error.got, error.nearest, error.next_step) == (
        "A share lies between 0 and 1",
        1.5,
        "1",
        "set split.test",
    )


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (BadValue("It holds"), "It holds."),
        (BadValue("It holds."), "It holds."),
        (BadValue("It holds", got=0), "It holds. Got 0."),
        (BadValue("It holds", got=False), "It holds. Got False."),
        (BadValue("It holds", got=[]), "It holds. Got []."),
        (BadValue("It holds", got=""), "It holds. Got ''."),
        (BadValue("It holds", got=" \n"), r"It holds. Got ' \n'."),
        (BadValue("It holds", got="the end."), "It holds. Got the end."),
        (BadValue("It holds", nearest="a.csv.", next_step="Look."), "It holds. Nearest: a.csv. Next: Look."),
    ],
)
def test_parts_that_are_left_out_leave_no_trace_and_empty_ones_are_seen(
    made: ModelwrightError, text: str
) -> None:
    assert str(made) == text


WORDS = st.text(string.ascii_letters + string.digits + " .,'é", min_size=1, max_size=30)
GOT = st.one_of(
    st.none(), WORDS, st.integers(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=3)
)


@given(rule=WORDS, got=GOT, nearest=st.none() | WORDS, next_step=st.none() | WORDS)
def test_every_part_is_in_the_message_and_in_the_record(
    rule: str, got: object, nearest: str | None, next_step: str | None
) -> None:
    error = WorkerLost(rule, got=got, nearest=nearest, next_step=next_step)
    told = json.loads(json.dumps(error.record()))
    assert set(told) == {"error", "rule", "got", "nearest", "next_step"}
    assert (told["error"], told["rule"], told["nearest"], told["next_step"]) == (
        "WorkerLost",
        rule,
        nearest,
        next_step,
    )
    assert (told["got"] is None) == (got is None)
    for part in (rule, told["got"], nearest, next_step):
        assert part is None or part.rstrip(".") in str(error)


# --- names


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    error = UnknownName("metric", "acuracy", ["rmse", "accuracy", "mae"])
    assert str(error) == (
        "No metric has this name. Got acuracy. Nearest: accuracy. Next: choose one of: accuracy, mae, rmse."
    )
    assert UnknownName("metric", "x", ["a"], next_step="look at docs").next_step == "look at docs"


def test_a_long_list_of_names_is_cut_and_an_empty_one_is_named() -> None:
    many = UnknownName("column", "zzz", [f"c{number:02}" for number in range(15)])
    assert many.next_step is not None
    assert many.next_step.endswith("c11 and 3 more")
    assert "c12" not in many.next_step
    twelve = UnknownName("column", "zzz", [f"c{number:02}" for number in range(12)])
    assert twelve.next_step is not None
    assert twelve.next_step.endswith("c11")
    assert UnknownName("column", "zzz", []).next_step == "choose one of: (there are none)"


NAMES = ["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "brier", "rmse", "convnet"]


@given(st.sampled_from(NAMES), st.data())
def test_one_typing_error_finds_the_name_again(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    wrong = data.draw(
        st.sampled_from(
            [
                name[:place] + name[place + 1 :],
                name[:place] + letter + name[place:],
                name[:place] + letter + name[place + 1 :],
                name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
                name.upper(),
                name.replace("_", "-"),
            ]
        )
    )
    assert nearest_name(wrong, data.draw(st.permutations(NAMES))) == name


@pytest.mark.parametrize(
    ("wrong", "names"), [("xyzzy", NAMES), ("", NAMES), ("accuracy", []), ("q", ["a", "b"])]
)
def test_where_nothing_is_close_nothing_is_suggested(wrong: str, names: list[str]) -> None:
    assert nearest_name(wrong, names) is None


@given(st.permutations(["Alpha", "alpha", "ALPHA"]))
def test_names_that_differ_by_case_are_suggested_in_whatever_order_they_come(names: list[str]) -> None:
    assert nearest_name("alpah", names) == "ALPHA"


# --- across processes


def make(kind: type[ModelwrightError]) -> ModelwrightError:
    if kind is UnknownName:
        return UnknownName("learner", "mpl", ["mlp", "convnet"])
    return kind(
        "What is stored is what was written", got=["a", 1.5], nearest="b", next_step="restore the file"
    )


def parts(error: ModelwrightError) -> tuple[object, ...]:
    return (type(error), str(error), error.record(), error.args, getattr(error, "__notes__", []))


@pytest.mark.parametrize("kind", [ModelwrightError, *FAMILIES, *LEAVES])
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error, protocol=2))]
)
def test_an_error_survives_copying_and_pickling(
    kind: type[ModelwrightError], again: Callable[[ModelwrightError], ModelwrightError]
) -> None:
    error = make(kind)
    error.add_note("In variants.small.")
    assert parts(again(error)) == parts(error)
    assert parts(again(again(error))) == parts(error)


@pytest.mark.parametrize("got", [threading.Lock(), (number for number in ()), lambda: None, object()])
def test_an_error_about_something_that_cannot_be_pickled_can(got: object) -> None:
    error = BadValue("A learner yields dictionaries", got=got)
    assert parts(pickle.loads(pickle.dumps(error))) == parts(error)


def fail_in_worker(kind: type[ModelwrightError]) -> None:
    error = make(kind)
    error.add_note("In variants.small.")
    raise error


def test_an_error_raised_in_a_worker_process_arrives_whole() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for kind in LEAVES:
            with pytest.raises(kind) as caught:
                pool.submit(fail_in_worker, kind).result(timeout=60)
            expected = make(kind)
            assert str(caught.value) == str(expected)
            assert caught.value.record() == expected.record()
            assert caught.value.__notes__ == ["In variants.small."]
