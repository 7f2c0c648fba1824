"""Environments that write observations into the same memory, and programs that copy late or in time."""

from pathlib import Path

from watched import CORRIDOR, plant, run_watched

_SEEN = "        return np.array([self.place, 1.0], np.float32), {}"
_STORED = "memory.append((observation, action, reward, following, terminated))"
REUSED = plant(
    CORRIDOR,
    (_SEEN, "        self.shown = np.array([self.place, 1.0], np.float32)\n        return self.shown, {}"),
    (
        "observation = np.array([self.place, 1.0], np.float32)",
        "self.shown[:] = self.place, 1.0\n        observation = self.shown",
    ),
)


def test_what_is_copied_after_it_was_overwritten_is_named(tmp_path: Path) -> None:
    late = "memory.append((observation.copy(), action, reward, following.copy(), terminated))"
    told = run_watched(plant(REUSED, (_STORED, late)), tmp_path)
    assert told.first_cause[0] == "observation-aliased"


def test_what_is_copied_before_the_step_is_not_spoken_of(tmp_path: Path) -> None:
    step = "following, reward, terminated, truncated, _ = environment.step(action)"
    edits = [
        (step, "before = observation.copy()\n    " + step),
        (_STORED, "memory.append((before, action, reward, following.copy(), terminated))"),
    ]
    assert run_watched(plant(REUSED, *edits), tmp_path).kinds == []
