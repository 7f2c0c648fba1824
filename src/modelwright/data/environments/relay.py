"""An error's way out of a process of Gymnasium's AsyncVectorEnv.

There an exception is raised anew as its own type called with the exception itself, which is right for those
that take one text and loses or breaks all others, ours among them.
"""

from collections.abc import Callable
from typing import Any

import gymnasium

from modelwright.base.errors import ModelwrightError

__all__ = ["Relayed", "relaying"]


class Relayed(Exception):
    """Carries one of our errors, also when made of itself.

    Attributes:
        error: The error.
    """

    def __init__(self, error: "ModelwrightError | Relayed") -> None:
        super().__init__(error)
        self.error: ModelwrightError = error.error if isinstance(error, Relayed) else error


class _Relaying(gymnasium.Wrapper[Any, Any, Any, Any]):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        try:
            return self.env.reset(seed=seed, options=options)
        except ModelwrightError as error:
            raise Relayed(error) from error

    def step(self, action: Any) -> Any:
        try:
            return self.env.step(action)
        except ModelwrightError as error:
            raise Relayed(error) from error


def relaying(make: Callable[[], Any]) -> Any:
    """Return an environment whose errors of ours come as `Relayed`.

    Args:
        make: Makes the environment.
    """
    return _Relaying(make())
