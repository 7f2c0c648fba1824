"""From an environment's name to its exact model, for those whose states can be listed."""

from modelwright.base.errors import BadValue
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.tabular_model import TabularModel, read_outcomes

__all__ = ["exact_model"]


def exact_model(environment: Environment) -> TabularModel:
    """Return what can follow each action in each state; a time limit is no part of it.

    Args:
        environment: One whose states and actions are numbered, and that keeps a table of them as Gymnasium's
            FrozenLake, CliffWalking and Taxi do. Its settings count.

    Raises:
        BadValue: where it keeps no table, or shows something other than the numbers of its states.
        ModelwrightError: of other kinds where it cannot be made; see `Environment.simulate`.
    """
    from modelwright.data.environments.maker import Maker

    if environment.name.startswith("probe-"):
        raise BadValue(
            "An exact model is read from an environment that shows the numbers of its states",
            got=environment.name,
            nearest="FrozenLake-v1, CliffWalking-v1, Taxi-v4",
        )
    made = Maker(
        name=environment.name,
        settings=dict(environment.settings),
        time_limit=None,
        atari=None,
        own=environment.is_own,
    )()
    try:
        return read_outcomes(made).model()
    finally:
        made.close()
