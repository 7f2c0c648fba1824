import pytest

from modelwright.base.errors import BadValue, NotPermitted

A, B, C = "a" * 64, "b" * 64, "c" * 64


def test_a_registration_is_an_entry_and_a_row(journal):
    entry = journal.register("digits", A, {"question": "is it?"})
    (row,) = journal.registrations()
    assert (entry.kind, entry.design) == ("design.registered", A)
    assert (row.sequence, row.time, row.name, row.design) == (entry.sequence, entry.time, "digits", A)
    assert (row.amends, row.reason, row.body) == (None, None, {"question": "is it?"})


def test_the_same_design_again_writes_nothing(journal):
    first = journal.register("digits", A, {"q": 1})
    journal.append("note", {})
    assert journal.register("digits", A, {"q": 1}) == first
    assert len(journal.entries()) == 2
    assert len(journal.registrations()) == 1


@pytest.mark.parametrize(
    "words",
    [{}, {"amends": A}, {"reason": "better"}, {"amends": A, "reason": "  "}, {"amends": A, "reason": ""}],
)
def test_another_design_under_a_name_needs_an_amendment_with_a_reason(journal, words):
    journal.register("digits", A, {})
    with pytest.raises(NotPermitted, match="stands"):
        journal.register("digits", B, {}, **words)
    assert len(journal.registrations()) == 1


def test_an_amendment_names_the_present_design(journal):
    journal.register("digits", A, {})
    journal.register("digits", B, {}, amends=A, reason="a seed more")
    with pytest.raises(BadValue) as error:
        journal.register("digits", C, {}, amends=A, reason="another")
    assert error.value.nearest == B


def test_an_amendment_back_to_the_first_design_is_a_third_registration(journal):
    journal.register("digits", A, {})
    journal.register("digits", B, {}, amends=A, reason="try")
    with pytest.raises(NotPermitted):
        journal.register("digits", A, {})
    journal.register("digits", A, {}, amends=B, reason="back")
    assert [row.design for row in journal.registrations("digits")] == [A, B, A]
    assert journal.verify().ok


def test_an_amendment_of_nothing_is_refused(journal):
    with pytest.raises(NotPermitted, match="not registered"):
        journal.register("digits", A, {}, amends=B, reason="why")


def test_registrations_are_listed_by_name_each_followed_by_its_amendments(journal):
    journal.register("one", A, {})
    journal.register("two", B, {})
    journal.register("one", C, {}, amends=A, reason="r")
    assert [(row.name, row.design) for row in journal.registrations()] == [("one", A), ("one", C), ("two", B)]
    assert [row.design for row in journal.registrations("two")] == [B]
    assert journal.registrations("three") == []


@pytest.mark.parametrize(
    ("name", "design"), [("", A), ("a b", A), ("digits", ""), ("digits", "x/y"), (None, A)]
)
def test_names_that_cannot_be_stored_are_refused(journal, name, design):
    with pytest.raises(BadValue):
        journal.register(name, design, {})


def test_a_broken_body_is_refused_before_anything_is_written(journal):
    with pytest.raises(BadValue):
        journal.register("digits", A, {"x": float("nan")})
    assert journal.entries() == []
