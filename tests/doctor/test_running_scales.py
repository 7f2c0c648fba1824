"""Programs that scale observations and rewards by what they have seen: faults are named; they are well."""

from pathlib import Path

import pytest
from barges import BARGES
from watched import every_second_slow, plant, run_watched

_SCALE = "R[t] = np.clip(reward / np.sqrt(gained.var + 1e-8), -10, 10)"
_ONCE_MORE = """reward = np.clip(reward / np.sqrt(gained.var + 1e-8), -10, 10)
            running = running * GAMMA + reward
            gained.add(running)
            running[over] = 0.0
            """
_EVALUATION = "test = Barges(4, 20, seed + 1000)\n"
_SEEN = "scale(raw, learn=False)"
_SWAP = "        GAMMA, LAM = LAM, GAMMA\n"

FAULTS = {
    "no mask of ends": ("terminal-mask-missing", [("GAMMA * (1 - TERM[t]) * VN[t]", "GAMMA * VN[t]")]),
    "cuts as ends": (
        "truncation-as-terminal",
        [("TERM[t], OVER[t] = sunk, over", "TERM[t] = OVER[t] = over")],
    ),
    "the next episode's first": (
        "next-observation-after-reset",
        [("after = scale(last, learn=False)", "after = obs")],
    ),
    "sums that go on": (
        "return-not-reset-at-done",
        [("GAMMA * LAM * (1 - OVER[t]) * total", "GAMMA * LAM * total")],
    ),
    "advantages as targets": ("returns-without-values", [("ret = adv + V", "ret = adv.copy()")]),
    "nothing after the rollout": (
        "bootstrap-missing",
        [
            (
                "critic(torch.as_tensor(after)).squeeze(-1).numpy()",
                "(t < T - 1) * critic(torch.as_tensor(after))[:, 0].numpy()",
            )
        ],
    ),
    "a mean taken off": (
        "reward-centred",
        [(_SCALE, _SCALE.replace("reward /", "(reward - gained.mean) /"))],
    ),
    "scaled twice": ("reward-scaled-twice", [(_SCALE, _ONCE_MORE + _SCALE)]),
    "running sums that go on": ("return-not-reset-at-done", [("            running[over] = 0.0\n", "")]),
    "gamma for lambda": (
        "gamma-lambda-swapped",
        [
            (
                "        total = np.zeros(N, np.float32)\n",
                "        total = np.zeros(N, np.float32)\n" + _SWAP,
            ),
            ("        ret = adv + V\n", "        ret = adv + V\n" + _SWAP),
        ],
    ),
    "advantages by environment": ("axes-mixed-by-reshape", [("adv.reshape(-1)", "adv.T.reshape(-1)")]),
    "targets by environment": ("axes-mixed-by-reshape", [("ret.reshape(-1)", "ret.T.reshape(-1)")]),
    "the first advantages for all": ("log-prob-of-other-rows", [("a = badv[idx]", "a = badv[: len(idx)]")]),
    "raw in evaluation": (
        "observation-statistics-not-saved",
        [(f"torch.as_tensor({_SEEN})", "torch.as_tensor(raw)")],
    ),
    "statistics begin anew": (
        "observation-statistics-not-saved",
        [(_EVALUATION, _EVALUATION + "    seen = Moments((4,))\n"), (_SEEN, "scale(raw)")],
    ),
    "new and never changed": (
        "observation-statistics-not-saved",
        [(_EVALUATION, _EVALUATION + "    seen = Moments((4,))\n")],
    ),
    "statistics go on": ("observation-statistics-updated-in-evaluation", [(_SEEN, "scale(raw)")]),
}


@pytest.mark.parametrize("fault", every_second_slow(FAULTS))
def test_a_fault_is_named_where_observations_and_rewards_are_scaled(fault: str, tmp_path: Path) -> None:
    name, edits = FAULTS[fault]
    assert run_watched(plant(BARGES, *edits), tmp_path).first_cause[0] == name


VARIANTS = {
    "as it is": [],
    "advantages as they are": [("a = (a - a.mean()) / (a.std() + 1e-8)", "pass")],
    "rewards as they are": [(_SCALE, "R[t] = reward")],
    "a tenth of them": [(_SCALE, "R[t] = reward / 10")],
    "divided by their own deviation": [("gained.add(running)", "gained.add(reward)")],
    "another discount for the scale": [("running * GAMMA + reward", "running * 0.99 + reward")],
    "sums that begin anew at ends alone": [("running[over] = 0.0", "running[sunk] = 0.0")],
    "scaled before they are counted": [
        ("            gained.add(running)\n", ""),
        ("            obs = scale(raw)\n", "            gained.add(running)\n            obs = scale(raw)\n"),
    ],
    "few are clipped": [("-10, 10)", "-0.4, 0.4)")],
    "environment by environment": [
        ("O.reshape(T * N, 4)", "O.swapaxes(0, 1).reshape(T * N, 4)"),
        ("A.reshape(-1)", "A.T.reshape(-1)"),
        ("L.reshape(-1)", "L.T.reshape(-1)"),
        ("adv.reshape(-1)", "adv.T.reshape(-1)"),
        ("ret.reshape(-1)", "ret.T.reshape(-1)"),
    ],
    "observations as they are": [
        (
            "return np.clip((rows - seen.mean) / np.sqrt(seen.var + 1e-8), -8, 8).astype(np.float32)",
            "return rows",
        )
    ],
    "another rule that is not linear": [
        (
            "return np.clip((rows - seen.mean) / np.sqrt(seen.var + 1e-8), -8, 8).astype(np.float32)",
            "return np.tanh(rows / 10).astype(np.float32)",
        )
    ],
    "one world is measured": [("Barges(4, 20", "Barges(1, 20"), ("got = np.zeros(4)", "got = np.zeros(1)")],
}


@pytest.mark.parametrize("variant", every_second_slow(VARIANTS))
def test_running_scales_are_well(variant: str, tmp_path: Path) -> None:
    assert run_watched(plant(BARGES, *VARIANTS[variant]), tmp_path).kinds == []
