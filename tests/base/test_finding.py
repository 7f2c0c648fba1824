"""Findings: kinds in kebab case, evidence that JSON can hold, and the way through a record."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.finding import Cause, Finding, Severity


def finding(**changes: Any) -> Finding:
    return Finding(
        **{"kind": "small-test-set", "severity": Severity.WARNING, "title": "Few rows test.", **changes}
    )


@pytest.mark.parametrize("kind", ["a", "group-overlap", "r2-low", "class-missing-from-test"])
def test_a_kind_in_kebab_case_is_taken(kind: str) -> None:
    assert finding(kind=kind).kind == kind


@pytest.mark.parametrize(
    "kind",
    ["", "Group-overlap", "group overlap", "group_overlap", "-a", "a-", "a--b", "a.b", "größe", "a\n", "a/b"],
)
def test_a_kind_of_another_form_is_refused(kind: str) -> None:
    with pytest.raises(BadValue, match="kebab case"):
        finding(kind=kind)


KINDS = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,3}", fullmatch=True)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
EVIDENCE = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
CAUSES = st.builds(
    Cause, what=st.text(max_size=9), file=st.none() | st.text(max_size=5), line=st.none() | st.integers(1)
)


@given(
    st.builds(
        Finding,
        kind=KINDS,
        severity=st.sampled_from(Severity),
        title=st.text(max_size=9),
        evidence=st.dictionaries(st.text(max_size=5), EVIDENCE, max_size=3),
        causes=st.lists(CAUSES, max_size=3).map(tuple),
        next_check=st.text(max_size=9),
        subject=st.text(max_size=9),
    )
)
def test_a_finding_comes_back_equal_from_its_record(original: Finding) -> None:
    back = Finding.from_record(json.loads(json.dumps(original.record())))
    assert back == original
    assert type(back.severity) is Severity
    assert all(type(cause) is Cause for cause in back.causes)


def test_the_record_holds_every_field_as_plain_json() -> None:
    cause = Cause(what="rows were sorted", file="load.py", line=7)
    record = finding(
        causes=(cause,), evidence={"rows": np.int64(3)}, next_check="Shuffle.", subject="y"
    ).record()
    assert record == {
        "kind": "small-test-set",
        "severity": "warning",
        "title": "Few rows test.",
        "evidence": {"rows": 3},
        "causes": [{"what": "rows were sorted", "file": "load.py", "line": 7, "name": ""}],
        "next_check": "Shuffle.",
        "subject": "y",
        "page": "modelwright help small-test-set",
    }
    assert {field.name for field in dataclasses.fields(Finding)} == set(record)
    assert type(record["severity"]) is str
    assert type(record["evidence"]["rows"]) is int


def test_evidence_is_kept_as_it_was_when_the_finding_was_made() -> None:
    evidence: dict[str, Any] = {"rows": [1, 2], "share": np.float32(0.5)}
    made = finding(evidence=evidence)
    evidence["rows"].append(3)
    evidence["late"] = True
    assert made.evidence == {"rows": [1, 2], "share": 0.5}


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        (float("nan"), "nan"),
        ([1.0, float("-inf")], [1.0, "-inf"]),
        ({"rate": np.float32("inf")}, {"rate": "inf"}),
        (np.array([[0.5, np.nan]]), [[0.5, "nan"]]),
    ],
)
def test_numbers_that_are_not_finite_are_shown_as_text(value: object, spelt: object) -> None:
    assert finding(evidence={"measured": value}).evidence == {"measured": spelt}


@pytest.mark.parametrize("value", [b"bytes", object(), {1: "a"}, 1j])
def test_evidence_that_json_cannot_hold_is_refused_at_once(value: object) -> None:
    with pytest.raises(BadValue):
        finding(evidence={"measured": value})


def test_a_severity_by_its_text_is_the_severity_and_a_wrong_one_is_refused() -> None:
    assert finding(severity="severe").severity is Severity.SEVERE
    with pytest.raises(
        UnknownName, match=re.escape("No severity has this name. Got sever. Nearest: severe.")
    ):
        finding(severity="sever")
    record = finding().record() | {"severity": "fatal"}
    with pytest.raises(UnknownName, match="fatal"):
        Finding.from_record(record)


def test_a_finding_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding().severity = Severity.INFO  # type: ignore[misc]
