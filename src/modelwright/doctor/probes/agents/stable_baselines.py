"""Models of Stable-Baselines3 as agents."""

from typing import Any, cast

import numpy as np

from modelwright.doctor.probes.agents.form import Path, numbers_of

__all__ = ["StableBaselines"]


class StableBaselines:
    """A model of Stable-Baselines3, or what has its interface.

    Where its observations have another shape than the task's, as those of stacked frames do, its own
    environment plays what it is asked about, through whatever wraps it.

    Args:
        made: The model.
        discount: What it is set to discount by.
        shape: Of the task's observations.
    """

    def __init__(self, made: Any, discount: float, shape: tuple[int, ...]) -> None:
        self._made, self._has_begun = made, False
        self.takes_action = hasattr(made.policy, "critic") and hasattr(made.policy, "actor")
        self.remembers = tuple(made.observation_space.shape or shape) != shape
        for owner in (made, getattr(made, "rollout_buffer", None), getattr(made, "replay_buffer", None)):
            if hasattr(owner, "gamma"):
                cast("Any", owner).gamma = discount

    def learn(self, steps: int) -> Any:
        """See `Form`."""
        self._made.learn(total_timesteps=steps, reset_num_timesteps=not self._has_begun)
        self._has_begun = True

    def act(self, path: Path) -> Any:
        """See `Form`."""
        return numbers_of(self._made.predict(self._seen(path), deterministic=True)[0])

    def value(self, path: Path) -> tuple[bool, Any] | None:
        """See `Form`."""
        import torch

        policy = self._made.policy
        if self.takes_action:
            return True, self.value_of(path, self.act(path))
        if hasattr(policy, "lstm_actor"):
            return None
        policy.set_training_mode(False)
        with torch.no_grad():
            seen = policy.obs_to_tensor(self._seen(path))[0]
            if hasattr(policy, "predict_values"):
                return False, policy.predict_values(seen)
            if hasattr(policy, "q_net"):
                return True, policy.q_net(seen)
            if hasattr(policy, "quantile_net"):
                return True, policy.quantile_net(seen).mean(dim=1)
        return None

    def value_of(self, path: Path, action: Any) -> Any:
        """See `Form`."""
        import torch

        policy = self._made.policy
        policy.set_training_mode(False)
        with torch.no_grad():
            seen = policy.obs_to_tensor(self._seen(path))[0]
            # Critics are given actions from -1 to 1, as those of the tasks are.
            given = torch.as_tensor(np.asarray(action, np.float32), device=seen.device).reshape(1, -1)
            found: Any = policy.critic(seen, given)
        if isinstance(found, tuple):
            return min(numbers_of(each)[0] for each in cast("tuple[Any, ...]", found))
        return found.mean()

    def _seen(self, path: Path) -> Any:
        """Return what its networks are given after these observations: (1, ...)."""
        normal = self._made.get_vec_normalize_env()
        if self.remembers:
            return self._played(path, normal)
        return path[-1][None] if normal is None else normal.normalize_obs(path[-1][None])

    def _played(self, path: Path, normal: Any) -> Any:
        environments = self._made.get_env()
        learns = getattr(normal, "training", False)
        if learns:
            normal.training = False
        try:
            environments.env_method("play", path)
            seen = environments.reset()
            for _ in path[1:]:
                still = np.array([environments.action_space.sample() for _ in range(environments.num_envs)])
                seen = environments.step(still)[0]
        finally:
            environments.env_method("play", ())
            if learns:
                normal.training = True
        # It begins its next stretch of learning with a reset.
        self._made._last_obs = None
        return seen[:1]
