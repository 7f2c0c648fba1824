"""The clock: instants in UTC, durations that never go back, texts that sort."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base.clock import Clock, SystemClock, timestamp
from modelwright.base.errors import BadValue

INSTANTS = st.datetimes(
    min_value=datetime(2, 1, 1),
    max_value=datetime(9998, 1, 1),
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def test_the_systems_clock_tells_utc_and_agrees_with_the_machine() -> None:
    clock: Clock = SystemClock()
    before = time.time()
    now = clock.now()
    assert now.utcoffset() == timedelta(0)
    assert before - 1e-3 <= now.timestamp() <= time.time() + 1e-3


def test_durations_are_seconds_and_never_negative() -> None:
    clock = SystemClock()
    start = clock.monotonic()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
    time.sleep(0.02)
    assert 0.02 <= clock.monotonic() - start < 5


def test_durations_do_not_follow_a_date_that_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    start = clock.monotonic()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock.monotonic() - start < 5


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 1, 31, 9, 5, tzinfo=UTC), "2026-01-31T09:05:00.000000Z"),
        (datetime(2026, 1, 31, 9, 5, 0, 7, tzinfo=UTC), "2026-01-31T09:05:00.000007Z"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2025-12-31T23:00:00.000000Z"),
        (
            datetime(2026, 6, 1, tzinfo=timezone(-timedelta(hours=9, minutes=30))),
            "2026-06-01T09:30:00.000000Z",
        ),
        (datetime(987, 6, 5, tzinfo=UTC), "0987-06-05T00:00:00.000000Z"),
    ],
)
def test_a_timestamp_is_the_instant_in_utc(instant: datetime, text: str) -> None:
    assert timestamp(instant) == text


@given(INSTANTS)
def test_a_timestamp_has_one_form_and_loses_nothing(instant: datetime) -> None:
    text = timestamp(instant)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert datetime.fromisoformat(text) == instant


@given(INSTANTS, INSTANTS)
def test_timestamps_sort_as_their_instants(one: datetime, other: datetime) -> None:
    assert (timestamp(one) < timestamp(other)) == (one < other)


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(BadValue, match=r"has a time zone.*Nearest: 2026-01-31T09:05:00\+00:00"):
        timestamp(datetime(2026, 1, 31, 9, 5))
