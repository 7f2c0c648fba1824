"""Seeds: named streams that depend on nothing but their names, and that look independent."""

import copy
import dataclasses
import hashlib
import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed, derive_seeds

ROOT = derive_seeds("oracle", 1)[0]
KEYS = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

# --- what a seed is


def test_streams_are_those_that_the_documentation_describes() -> None:
    assert ROOT.key == hashlib.sha256(b"oracle#0").hexdigest()
    child = hashlib.sha256(f"{ROOT.key}/init".encode()).hexdigest()
    assert ROOT.child("init").key == child
    assert ROOT.integer("init") == int(child, 16) >> 193
    twin = np.random.Generator(np.random.PCG64(np.random.SeedSequence(int(child, 16))))
    np.testing.assert_array_equal(ROOT.generator("init").normal(size=9), twin.normal(size=9))


def test_streams_are_the_same_on_every_machine_for_ever() -> None:
    assert ROOT.key == "1284811aab1d03ac00b331a3a61015c4be28134539957935a9d12baf4770cf36"
    assert ROOT.integer("batch") == 9123024011755676319
    assert ROOT.generator("batch").integers(0, 1000, size=6).tolist() == [253, 42, 851, 912, 466, 36]
    assert ROOT.generator("batch").random(2).tolist() == [0.04280829808051556, 0.9129917965855967]


@given(KEYS, NAMES)
def test_the_same_key_and_name_give_the_same_stream(key: str, name: str) -> None:
    one, other = Seed(key), Seed(key)
    assert one == other
    assert hash(one) == hash(other)
    assert one.child(name) == other.child(name)
    assert one.integer(name) == other.integer(name)
    assert one.generator(name).random() == other.generator(name).random()


@given(KEYS, NAMES, NAMES)
def test_another_name_gives_another_stream(key: str, name: str, other: str) -> None:
    if name == other:
        return
    seed = Seed(key)
    assert seed.child(name) != seed.child(other)
    assert seed.integer(name) != seed.integer(other)
    assert seed.generator(name).random() != seed.generator(other).random()


@given(KEYS, st.integers(0, 63), NAMES)
def test_a_key_that_differs_in_one_digit_gives_another_stream(key: str, place: int, name: str) -> None:
    digit = "0" if key[place] != "0" else "1"
    other = Seed(key[:place] + digit + key[place + 1 :])
    assert Seed(key).child(name) != other.child(name)
    assert Seed(key).integer(name) != other.integer(name)


@given(KEYS, NAMES)
def test_an_integer_fits_into_63_bits(key: str, name: str) -> None:
    value = Seed(key).integer(name)
    assert 0 <= value < 2**63
    torch.Generator().manual_seed(value)


def test_a_stream_does_not_depend_on_what_was_asked_before() -> None:
    first = ROOT.generator("init").random(5)
    other = derive_seeds("oracle", 1)[0]
    for name in ("batch", "dropout", "init"):
        other.generator(name).random(100)
        other.child(name).integer("x")
    np.testing.assert_array_equal(other.generator("init").random(5), first)


def test_each_generator_is_a_new_one_at_the_start() -> None:
    one, other = ROOT.generator("init"), ROOT.generator("init")
    one.random(7)
    np.testing.assert_array_equal(other.random(3), ROOT.generator("init").random(3))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ROOT.child("a").child("b"), ROOT.child("a/b")),
        (ROOT.child("a").child("b"), ROOT.child("b").child("a")),
        (ROOT.child(""), ROOT),
        (ROOT.child("a"), ROOT.child("A")),
        (derive_seeds("x", 12)[11], derive_seeds("x#1", 2)[1]),
        (derive_seeds("x", 1)[0], derive_seeds("x", 2)[1]),
        (derive_seeds("x", 1)[0], derive_seeds("x ", 1)[0]),
    ],
)
def test_names_that_look_alike_lead_to_other_seeds(one: Seed, other: Seed) -> None:
    assert one != other


@pytest.mark.parametrize(
    "key", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, " " + "0" * 63, "0x" + "0" * 62, "٣" * 64]
)
def test_a_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(BadValue, match="64 lower-case hexadecimal digits"):
        Seed(key)


def test_a_seed_survives_pickling_and_cannot_be_changed() -> None:
    assert pickle.loads(pickle.dumps(ROOT)) == copy.deepcopy(ROOT) == ROOT
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROOT.key = "0" * 64  # type: ignore[misc]


# --- the seeds of a root


@given(NAMES, st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_fewer_seeds_are_the_first_of_more_and_a_start_skips(
    root: str, few: int, more: int, start: int
) -> None:
    whole = derive_seeds(root, few + more + start)
    assert derive_seeds(root, few) == whole[:few]
    assert derive_seeds(root, more, start=start) == whole[start : start + more]
    assert len(set(whole)) == len(whole)


@pytest.mark.parametrize(("count", "start"), [(-1, 0), (1, -1), (0, -1)])
def test_seeds_before_the_first_are_refused(count: int, start: int) -> None:
    with pytest.raises(BadValue, match="numbered from 0"):
        derive_seeds("x", count, start=start)


# --- independence


def test_forty_thousand_streams_do_not_collide() -> None:
    seeds = derive_seeds("collisions", 200)
    names = [f"{number}" for number in range(100)]
    integers = [seed.integer(name) for seed in seeds for name in names]
    nested = [seed.child(name).integer(name) for seed in seeds for name in names]
    assert len({*integers, *nested}) == 2 * len(integers)
    assert len({seed.generator(name).integers(2**63) for seed in seeds for name in names[:20]}) == 4000


@pytest.mark.parametrize("relation", ["seeds", "children", "generations"])
def test_streams_of_relatives_are_uncorrelated(relation: str) -> None:
    count, length = 100, 2000
    if relation == "seeds":
        relatives = list(derive_seeds("relatives", count))
    elif relation == "children":
        relatives = [ROOT.child(f"{number}") for number in range(count)]
    else:
        relatives = [ROOT]
        while len(relatives) < count:
            relatives.append(relatives[-1].child("next"))
    draws = np.array([seed.generator("noise").normal(size=length) for seed in relatives])
    correlations = np.corrcoef(draws)[np.triu_indices(count, 1)]
    # The largest of 4,950 independent correlations stays below this in all but 1 of 1,000 cases.
    limit = -stats.norm.ppf(1e-3 / 2 / len(correlations)) / np.sqrt(length)
    assert np.abs(correlations).max() < limit
    assert stats.kstest(correlations * np.sqrt(length), "norm").pvalue > 1e-3
    # Nor does one stream run after another by a few draws.
    later = [np.corrcoef(draws[:-1, lag:].ravel(), draws[1:, :-lag].ravel())[0, 1] for lag in (1, 2, 3)]
    assert np.abs(later).max() < 4.5 / np.sqrt(draws[:-1, 3:].size)


def test_starting_integers_are_uniform_in_every_bit() -> None:
    integers = np.array([seed.integer("start") for seed in derive_seeds("bits", 20_000)], dtype=np.uint64)
    assert stats.kstest(integers / 2.0**63, "uniform").pvalue > 1e-3
    bits = (integers[:, None] >> np.arange(63, dtype=np.uint64)) & np.uint64(1)
    spread = np.abs(bits.mean(axis=0) - 0.5) * 2 * np.sqrt(len(integers))
    assert spread.max() < stats.norm.ppf(1 - 1e-3 / 2 / 63)


def test_first_draws_of_neighbouring_seeds_are_uniform() -> None:
    first = [seed.generator("split").random() for seed in derive_seeds("first", 4000)]
    assert stats.kstest(first, "uniform").pvalue > 1e-3
    order = stats.spearmanr(first[:-1], first[1:]).statistic
    assert abs(order) < 3.3 / np.sqrt(len(first))


# --- global state


def test_no_global_random_state_is_read_or_changed() -> None:
    def told() -> tuple[int, list[int], float]:
        seed = derive_seeds("global", 3, start=1)[1]
        return (
            seed.integer("a"),
            seed.generator("b").integers(0, 99, 5).tolist(),
            seed.child("c").generator("d").random(),
        )

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what this is about
    torch.manual_seed(1)
    states = random.getstate(), np.random.get_state(legacy=True), torch.get_rng_state()  # noqa: NPY002
    first = told()
    assert random.getstate() == states[0]
    after = np.random.get_state(legacy=True)  # noqa: NPY002
    assert after[0] == states[1][0]
    np.testing.assert_array_equal(after[1], states[1][1])
    assert after[2:] == states[1][2:]
    assert torch.equal(torch.get_rng_state(), states[2])
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    assert told() == first
