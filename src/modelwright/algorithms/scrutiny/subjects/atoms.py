"""The projection of a shifted distribution on fixed atoms (C51).

    T z_j = clip(r + gamma (1 - terminated) z_j, v_min, v_max)
    m_i   = sum_j p_j clip(1 - |T z_j - z_i| / dz, 0, 1)

Source: Bellemare, Dabney and Munos 2017, equation 7 and algorithm 1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.c51 import project
from modelwright.algorithms.scrutiny.subject import (
    Argument,
    Case,
    Inputs,
    Layout,
    Options,
    Outputs,
    Subject,
    mistake,
    words,
)
from modelwright.algorithms.scrutiny.subjects.rows import (
    ALIVE,
    DISCOUNTS,
    GAMMA,
    NO_FLAGS,
    NO_GAMMA,
    REWARDS,
    TERMINATED,
    TRUNCATED,
    tensors,
)

__all__ = ["SUBJECTS"]

_ROW, _TABLE = ("row",), ("row", "atom")


def _support(x: Inputs) -> Any:
    return np.linspace(x["v_min"], x["v_max"], x["next_probs"].shape[-1])


def _width(x: Inputs) -> float:
    return float((x["v_max"] - x["v_min"]) / (x["next_probs"].shape[-1] - 1))


def _shifted(x: Inputs, *, clip: bool = True, **changed: Any) -> Any:
    part = {"mask": 1.0 - x["terminated"], "gamma": x["gamma"], "rewards": x["rewards"], **changed}
    scale = np.asarray(part["gamma"] * part["mask"])[..., None]
    made = np.asarray(part["rewards"])[..., None] + scale * _support(x)
    return made.clip(x["v_min"], x["v_max"]) if clip else made


def _shared(x: Inputs, shifted: Any) -> Any:
    """Return equation 7: each atom's share of every shifted one."""
    distance = np.abs(shifted[..., None, :] - _support(x)[:, None]) / _width(x)
    return (x["next_probs"][..., None, :] * np.clip(1.0 - distance, 0.0, 1.0)).sum(axis=-1)


def _project(x: Inputs, options: Options) -> Outputs:
    t = tensors({**x, "discount": np.asarray(x["gamma"] * (1.0 - x["terminated"])), "atoms": _support(x)})
    found = project(t["rewards"][None], t["discount"][None], t["next_probs"][None], t["atoms"])[0].numpy()
    return {"shifted": _shifted(x), "projected": found}


def _dealt(
    x: Inputs,
    shifted: Any,
    weights: Callable[[Any, Any, Any], tuple[Any, Any]],
    *,
    add: bool = True,
    wrap: bool = False,
    above: bool = False,
) -> Outputs:
    """Return algorithm 1, atom by atom, with other weights of the lower and upper neighbour.

    Where `above`, the upper neighbour is the next atom also where a shifted atom falls on an atom.
    """
    count = x["next_probs"].shape[-1]
    rows = x["next_probs"].reshape(-1, count)
    places = ((shifted - x["v_min"]) / _width(x)).reshape(-1, count)
    found = np.zeros_like(rows)
    for row in range(len(rows)):
        for atom in range(count):
            b = np.round(places[row, atom], 9)
            low, high = int(np.floor(b)), int(np.ceil(b))
            if above:
                high = min(low + 1, count - 1)
            if not (0 <= low < count and 0 <= high < count):
                if not wrap:
                    continue
                low, high = low % count, high % count
            for place, weight in zip((low, high), weights(b, np.floor(b), np.ceil(b)), strict=True):
                moved = rows[row, atom] * weight
                found[row, place] = found[row, place] + moved if add else moved
    return {"shifted": shifted, "projected": found.reshape(x["next_probs"].shape)}


_LINE = "m_l += p_j (u - b), m_u += p_j (b - l), and all of p_j to l where l = u = b"


def _right(b: Any, low: Any, high: Any) -> tuple[Any, Any]:
    return (high - b, b - low) if low != high else (1.0, 0.0)


_MISTAKES = (
    *mistake(
        "mass-lost-on-atoms",
        "Where a shifted atom falls on an atom, floor and ceiling are equal and its probability is lost.",
        _LINE,
        lambda x, o: _dealt(x, _shifted(x), lambda b, low, high: (high - b, b - low)),
    ),
    *mistake(
        "weights-swapped",
        "The lower neighbour gets the upper one's share.",
        _LINE,
        lambda x, o: _dealt(
            x, _shifted(x), lambda b, low, high: (b - low, high - b) if low != high else (1.0, 0.0)
        ),
        lambda x, o: _dealt(x, _shifted(x), lambda b, low, high: (b - low, high - b)),
        lambda x, o: _dealt(x, _shifted(x), lambda b, low, high: (b - low, low + 1.0 - b), above=True),
        lambda x, o: _dealt(x, _shifted(x), lambda b, low, high: (b - low, high - b + 1.0 * (low == high))),
    ),
    *mistake(
        "mass-doubled-on-atoms",
        "Where a shifted atom falls on an atom, its probability counts twice.",
        _LINE,
        lambda x, o: _dealt(
            x, _shifted(x), lambda b, low, high: (high - b, b - low) if low != high else (1.0, 1.0)
        ),
    ),
    *mistake(
        "not-clipped",
        "Shifted atoms are not clipped to the support.",
        "T z_j = clip(r + gamma z_j, v_min, v_max)",
        lambda x, o: {"projected": _shared(x, _shifted(x, clip=False)), "shifted": _shifted(x, clip=False)},
        lambda x, o: _dealt(x, _shifted(x, clip=False), _right),
        lambda x, o: _dealt(x, _shifted(x, clip=False), _right, wrap=True),
    ),
    *mistake(
        "done-ignored",
        "The atoms of a terminal step are not reduced to its reward.",
        "T z_j = r + gamma (1 - terminated) z_j",
        lambda x, o: _of(x, mask=1.0 + 0.0 * x["terminated"]),
    ),
    *mistake(
        "mask-inverted",
        "The mask is inverted: done is used where 1 - done belongs.",
        "T z_j = r + gamma (1 - terminated) z_j",
        lambda x, o: _of(x, mask=1.0 * x["terminated"]),
    ),
    *mistake(
        "truncation-as-termination",
        "A step at which the episode was cut off is taken for terminal.",
        "only termination ends the bootstrap",
        lambda x, o: _of(x, mask=1.0 - (x["terminated"] | x["truncated"])),
    ),
    *mistake(
        "gamma-missing",
        "Atoms are not discounted.",
        "T z_j = r + gamma (1 - terminated) z_j",
        lambda x, o: _of(x, gamma=1.0),
    ),
    *mistake(
        "reward-missing",
        "Atoms are not shifted by the reward, or the reward is masked or discounted.",
        "T z_j = r + gamma (1 - terminated) z_j",
        lambda x, o: _of(x, rewards=0.0 * x["rewards"]),
        lambda x, o: _of(x, rewards=x["rewards"] * (1.0 - x["terminated"])),
        lambda x, o: _of(x, rewards=x["rewards"] * x["gamma"]),
    ),
    *mistake(
        "overwritten",
        "Probabilities that meet on one atom overwrite each other: they are assigned, not added.",
        "m[l] += ...: with index arrays use np.add.at, index_add_ or scatter_add_",
        lambda x, o: _dealt(x, _shifted(x), _right, add=False),
        lambda x, o: _batched(x),
    ),
    *mistake(
        "nearest-atom",
        "All of the probability goes to one neighbour.",
        _LINE,
        lambda x, o: _dealt(x, _shifted(x), lambda b, low, high: (1.0, 0.0)),
        lambda x, o: _dealt(x, _shifted(x), lambda b, low, high: (0.0, 1.0)),
        lambda x, o: _dealt(
            x, _shifted(x), lambda b, low, high: (1.0 * (b - low <= 0.5), 1.0 * (b - low > 0.5))
        ),
    ),
    *mistake(
        "width-wrong",
        "The distance of atoms is (v_max - v_min) / n, not over n - 1.",
        "dz = (v_max - v_min) / (n - 1)",
        lambda x, o: _stretched(x),
    ),
    *mistake(
        "not-projected",
        "The probabilities stay where they are.",
        _LINE,
        lambda x, o: {"projected": x["next_probs"]},
    ),
)


def _of(x: Inputs, **changed: Any) -> Outputs:
    shifted = _shifted(x, **changed)
    return {"shifted": shifted, "projected": _shared(x, shifted)}


def _batched(x: Inputs) -> Outputs:
    """Return what `m[rows, low] += ...` does: of equal places only the last counts; twice, low then high."""
    count = x["next_probs"].shape[-1]
    rows = x["next_probs"].reshape(-1, count)
    b = np.round(((_shifted(x) - x["v_min"]) / _width(x)).reshape(-1, count), 9)
    low, high = np.floor(b).astype(int), np.ceil(b).astype(int)
    found = np.zeros_like(rows)
    at = np.arange(len(rows))[:, None]
    found[at, low] += rows * (high - b + (low == high))
    found[at, high] += rows * (b - low)
    return {"projected": found.reshape(x["next_probs"].shape)}


def _stretched(x: Inputs) -> Outputs:
    count = x["next_probs"].shape[-1]
    width = (x["v_max"] - x["v_min"]) / count
    places = np.round((_shifted(x) - x["v_min"]) / width, 9)
    inside = np.minimum(places, count - 1)
    distance = np.abs(inside[..., None, :] - np.arange(count)[:, None])
    return {"projected": (x["next_probs"][..., None, :] * np.clip(1.0 - distance, 0.0, 1.0)).sum(axis=-1)}


def _cases(generator: np.random.Generator) -> list[Case]:
    def batch(rows: int, atoms: int, **given: Any) -> Inputs:
        probs = generator.random((rows, atoms)) + 0.05
        return {
            "rewards": 2.0 * generator.standard_normal(rows),
            "terminated": generator.random(rows) < 0.3,
            "truncated": generator.random(rows) < 0.3,
            "gamma": 0.9,
            "v_min": -5.0,
            "v_max": 5.0,
            "next_probs": probs / probs.sum(axis=1, keepdims=True),
            **given,
        }

    one = batch(4, 5, v_min=-2.0, v_max=2.0)
    one["next_probs"] = np.eye(5)[[0, 2, 3, 4]]
    cases = [
        ("general", batch(6, 11, terminated=np.arange(6) % 3 == 0)),
        ("general", batch(5, 7, v_min=-3.0, v_max=6.0, gamma=0.8)),
        (
            "on the atoms",
            batch(4, 5, v_min=-2.0, v_max=2.0, gamma=1.0, rewards=np.array([1.0, -1.0, 0.0, 2.0])),
        ),
        ("all terminated", batch(4, 5, terminated=np.ones(4, bool))),
        ("none terminated", batch(4, 5, terminated=np.zeros(4, bool))),
        (
            "terminated on an atom",
            batch(
                3, 5, v_min=-2.0, v_max=2.0, rewards=np.array([1.0, 0.0, -2.0]), terminated=np.ones(3, bool)
            ),
        ),
        ("beyond the support", batch(4, 5, rewards=np.array([20.0, -20.0, 7.0, -7.0]))),
        ("probabilities of zero", one),
        ("two atoms", batch(4, 2)),
        ("batch one", batch(1, 5)),
        ("gamma 0", batch(3, 5, gamma=0.0)),
        ("51 atoms", batch(8, 51, v_min=-10.0, v_max=10.0, gamma=0.99)),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


def _consistent(x: Inputs) -> Inputs | None:
    fits = x["next_probs"].shape[-1] >= 2 and x["v_min"] < x["v_max"]
    return x if fits else None


SUBJECTS = (
    Subject(
        name="c51:project",
        title="a shifted distribution put back on its atoms",
        equation="m_i = sum_j p_j clip(1 - |clip(r + gamma (1 - terminated) z_j) - z_i| / dz, 0, 1)",
        axes={"rewards": _ROW, "terminated": _ROW, "truncated": _ROW, "next_probs": _TABLE},
        arguments=(
            Argument(
                role="next_probs",
                names=words(
                    "next_probs next_pmfs next_dist next_distribution probs p pmf next_p probabilities "
                    "next_probabilities dist pmfs next_prob p_next next_pmf target_probs target_dist "
                    "next_dists ps prob next_d distribution"
                ),
                axes=_TABLE,
                doc="p_j of the next state and action",
            ),
            REWARDS,
            TERMINATED,
            TRUNCATED,
            *ALIVE,
            DISCOUNTS,
            GAMMA,
            Argument(
                role="support",
                names=words("support atoms z zs target_atoms z_q supports z_atoms values target_support"),
                axes=("atom",),
                make=_support,
                doc="z_i",
            ),
            Argument(
                role="shifted",
                names=("next_atoms", "tz", "target_z", "z_p", "shifted", "next_support", "t_z"),
                axes=_TABLE,
                make=lambda x: _shifted(x, clip=False),
                bars=("rewards",),
                says="shifted already, not clipped",
                doc="r + gamma (1 - terminated) z_j",
            ),
            Argument(
                role="v_min", names=("v_min", "vmin", "min_value", "v_low", "low", "minimum"), doc="z_1"
            ),
            Argument(
                role="v_max", names=("v_max", "vmax", "max_value", "v_high", "high", "maximum"), doc="z_n"
            ),
            Argument(
                role="count",
                names=words("n_atoms num_atoms n atom_size natoms atom_count num_support n_atom"),
                kind="plain",
                make=lambda x: x["next_probs"].shape[-1],
                doc="n",
            ),
            Argument(
                role="width", names=("delta_z", "dz", "delta", "atom_delta", "width"), make=_width, doc="dz"
            ),
            Argument(
                role="batch",
                names=("batch_size", "bs"),
                kind="plain",
                make=lambda x: int(np.size(x["rewards"])),
                doc="rows",
            ),
        ),
        outputs={"shifted": _TABLE, "projected": _TABLE},
        single=("projected",),
        orders=(("shifted", "projected"), ("projected", "shifted")),
        names=dict.fromkeys(("m", "target_pmfs", "proj_dist", "target"), "projected"),
        layouts=(
            Layout(name="row"),
            Layout(name="row,1", says="arrays of one number a row lie (row, 1)", trailing=_ROW),
            Layout(name="one", says="one row at a time", loop="row"),
        ),
        absences=(NO_FLAGS, NO_GAMMA),
        reference=_project,
        mistakes=_MISTAKES,
        cases=_cases,
        consistent=_consistent,
    ),
)
