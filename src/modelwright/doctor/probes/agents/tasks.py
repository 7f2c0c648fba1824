"""The tasks that agents are tried on, the easiest first.

Source: A. Jones, Debugging Reinforcement Learning Systems (2021), for value, backpropagation, discount,
policy and pairing; the others are in its spirit. Values count up to a common scale, since
rewards may be scaled by choice: what is wrong shows in the ratio of one state's value to another's.
"""

from modelwright.doctor.probes.agents.task import TERMINATES, TRUNCATES, Move, Task

__all__ = ["SIGHTS", "TASKS"]

SIGHTS = 5
"""Numbers in an observation: one of them is 1, the others are 0."""


def _ends(reward: float, after: int) -> tuple[tuple[Move, ...], ...]:
    return ((Move(after, reward, TERMINATES),),)


def _goes(after: int, reward: float = 0.0) -> tuple[tuple[Move, ...], ...]:
    return ((Move(after, reward),),)


def _pays(state: int, *rewards: float) -> tuple[tuple[Move, ...], ...]:
    return tuple((Move(state, each, TERMINATES),) for each in rewards)


TASKS: tuple[Task, ...] = (
    Task(
        name="value",
        words="the value of a single step with the reward 1",
        moves=(_ends(1.0, 0),),
        starts=(0,),
    ),
    Task(
        name="backpropagation",
        words="values of two observations with the rewards -1 and 1",
        moves=(_ends(-1.0, 0), _ends(1.0, 1)),
        starts=(0, 1),
        needs=("value",),
    ),
    Task(
        name="discount",
        words="the value of a step after which the reward 1 follows",
        moves=(_goes(1), _ends(1.0, 0), _goes(3), _ends(0.0, 2)),
        starts=(0, 2),
        needs=("value", "backpropagation"),
    ),
    Task(
        name="ends",
        words="values where episodes go on, are cut off without a sign, and terminate",
        moves=(
            ((Move(2, 0.0), *[Move(2, 0.0, TRUNCATES)] * 3),),
            _ends(0.0, 2),
            _ends(1.0, 1),
            _goes(1),
        ),
        starts=(0, 2, 3),
        needs=("value", "backpropagation"),
    ),
    Task(
        name="steps",
        words="values of five steps in a row, with rewards on the way",
        moves=(_goes(1), _goes(2, -1.0), _goes(3), _goes(4), _ends(2.0, 0)),
        starts=(0,),
        needs=("value", "backpropagation"),
    ),
    Task(
        name="alike",
        words="values of two observations that are nearly the same, and of one that is not",
        moves=(_ends(1.0, 0), _ends(-1.0, 1), _ends(1.0, 2)),
        starts=(0, 1, 2),
        shown=((1.0, 0.7, 0.7, 0.0, 0.0), (0.7, 1.0, 0.7, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0, 0.0)),
        needs=("value", "backpropagation"),
    ),
    Task(
        name="frames",
        words="values that depend on the order of the last two observations",
        moves=(
            ((Move(1, 0.0), Move(2, 0.0)),),
            _goes(3),
            _goes(4),
            _ends(1.0, 3),
            _ends(-1.0, 4),
        ),
        starts=(0,),
        sees=(2, 0, 1, 1, 0),
        needs_memory=True,
        needs=("value", "backpropagation"),
    ),
    Task(
        name="policy",
        words="the better one of two actions",
        moves=(_pays(0, -0.5, 1.0),),
        starts=(0,),
        best=(1,),
        peaks=((0.5, -0.5),),
        needs=("value",),
    ),
    Task(
        name="pairing",
        words="the better action for each of two observations",
        moves=(_pays(0, 1.0, -0.5), _pays(1, -0.5, 1.0)),
        starts=(0, 1),
        best=(0, 1),
        peaks=((-0.5, 0.0), (0.5, 0.0)),
        needs=("value", "policy"),
    ),
)
"""In the order of difficulty."""
