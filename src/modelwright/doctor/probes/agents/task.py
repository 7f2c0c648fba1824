"""An environment so small that its values and best actions are known."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["GOES_ON", "TERMINATES", "TRUNCATES", "Move", "Task"]

GOES_ON, TERMINATES, TRUNCATES = 0, 1, 2


class Move(NamedTuple):
    """What may follow a state.

    Attributes:
        after: The state that is seen next, at an end too.
        reward: What is given.
        end: Whether the episode goes on, terminates or is truncated.
    """

    after: int
    reward: float
    end: int = GOES_ON


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An environment as a table, and what is right in it.

    Attributes:
        name: In kebab case.
        words: What an agent shows that learns it.
        moves: State -> action -> moves of equal probability. Where a state has moves for one action only,
            all actions lead to them.
        starts: States in which episodes begin, each as often as the others.
        sees: State -> number of the observation; states are seen as themselves where it is empty.
        best: State -> the best action; empty where actions do not matter.
        peaks: State -> the best force in each direction, where actions are forces; the reward is then 1 less
            the squared distance to it. Empty where the table gives rewards.
        shown: Observation's number -> its numbers, one of them 1 and the others smaller; 0 where it is empty.
        needs_memory: Whether states that look alike are told apart by what was seen before them; each is then
            reached in one way only.
        needs: Names of easier tasks; a miss speaks against an agent only where it passed these.
    """

    name: str
    words: str
    moves: tuple[tuple[tuple[Move, ...], ...], ...]
    starts: tuple[int, ...]
    sees: tuple[int, ...] = ()
    best: tuple[int, ...] = ()
    peaks: tuple[tuple[float, ...], ...] = ()
    shown: tuple[tuple[float, ...], ...] = ()
    needs_memory: bool = False
    needs: tuple[str, ...] = ()

    @property
    def is_about_values(self) -> bool:
        """Whether its values do not depend on what is done, so that they are those of every agent."""
        return not self.best

    def observation_of(self, state: int) -> int:
        """Return the number of what is seen in a state."""
        return self.sees[state] if self.sees else state

    def situation_of(self, state: int) -> int:
        """Return the number under which a state's value is known: its own, or that of what is seen."""
        return state if self.needs_memory else self.observation_of(state)

    @property
    def is_about_sight(self) -> bool:
        """Whether it is about what an agent makes of its observations, and not about targets."""
        return self.needs_memory or bool(self.shown)

    @property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the observations on a shortest way to each situation, its own last."""
        front: list[tuple[int, tuple[int, ...]]] = [
            (state, (self.observation_of(state),)) for state in self.starts
        ]
        found = {self.situation_of(state): path for state, path in front}
        for state, path in front:
            for move in (move for moves in self.moves[state] for move in moves if move.end == GOES_ON):
                longer = (*path, self.observation_of(move.after))
                if self.situation_of(move.after) not in found:
                    found[self.situation_of(move.after)] = longer
                    front.append((move.after, longer))
        return tuple(found[each] for each in sorted(found))

    def moves_of(self, state: int, action: int) -> tuple[Move, ...]:
        """Return what may follow an action."""
        rows = self.moves[state]
        return rows[action % len(rows)]
