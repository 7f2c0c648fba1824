"""Stable-Baselines3 PPO on a CartPole whose cart has to stay at a flag that is moved now and then."""

import argparse
import json
import math
from copy import deepcopy

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

EPISODE_STEPS = 200


class FlagCartPole(gym.Wrapper):
    """Put a flag on the track, show its signed distance to the agent, and move it every 100 steps.

    The pole has to stay up, as in CartPole; what is paid for a step falls with the distance to the flag.
    """

    def __init__(self, env, seed):
        super().__init__(env)
        self.rng = np.random.default_rng(seed)
        low = np.append(env.observation_space.low, -5.0).astype(np.float32)
        high = np.append(env.observation_space.high, 5.0).astype(np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.flag = 0.0
        self.elapsed = 0

    def place_flag(self):
        self.flag = float(self.rng.uniform(-1.2, 1.2))

    def extend(self, obs):
        return np.append(obs, self.flag - obs[0]).astype(np.float32)

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        self.elapsed = 0
        self.place_flag()
        return self.extend(obs), info

    def step(self, action):
        obs, _, terminated, truncated, info = self.env.step(action)
        self.elapsed += 1
        distance = abs(self.flag - obs[0])
        reward = math.exp(-1.5 * distance)
        if terminated:
            reward = 0.0
        if self.elapsed % 100 == 0:
            self.place_flag()
        return self.extend(obs), float(reward), terminated, truncated, info


def make_env(seed):
    def build():
        env = gym.make("CartPole-v1", max_episode_steps=EPISODE_STEPS)
        return Monitor(FlagCartPole(env, seed))

    return build


def play(policy, normalizer, episodes, seed):
    """Returns of the deterministic policy in true rewards; the statistics of training stay as they are."""
    env = make_env(seed)()
    returns = []
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        total, over = 0.0, False
        while not over:
            action, _ = policy.predict(normalizer.normalize_obs(obs), deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(int(action))
            total += reward
            over = terminated or truncated
        returns.append(total)
    return returns


class KeepBest(BaseCallback):
    """Check the policy now and then and keep the best weights, with the statistics they were used with."""

    def __init__(self, every, episodes, seed):
        super().__init__()
        self.every = every
        self.episodes = episodes
        self.seed = seed
        self.best_return = -math.inf
        self.best_weights = None
        self.best_statistics = None

    def _on_step(self):
        if self.n_calls % self.every == 0:
            normalizer = self.model.get_vec_normalize_env()
            mean_return = float(np.mean(play(self.model.policy, normalizer, self.episodes, self.seed)))
            print(f"{self.num_timesteps:6d} steps: return {mean_return:.1f}")
            if mean_return > self.best_return:
                self.best_return = mean_return
                self.best_weights = deepcopy(self.model.policy.state_dict())
                self.best_statistics = deepcopy(normalizer.obs_rms)
        return True


def anneal(initial):
    """Learning rate by the share of training that is left, which falls from 1 to 0."""
    return lambda remaining: initial * (0.1 + 0.9 * remaining)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timesteps", type=int, default=30_000)
    parser.add_argument("--n-envs", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--gamma", type=float, default=0.99)
    args = parser.parse_args()

    torch.set_num_threads(1)
    venv = DummyVecEnv([make_env(1000 * args.seed + rank) for rank in range(args.n_envs)])
    venv = VecNormalize(venv, norm_obs=True, norm_reward=True, clip_obs=10.0, gamma=args.gamma)

    model = PPO(
        "MlpPolicy",
        venv,
        learning_rate=anneal(args.learning_rate),
        n_steps=64,
        batch_size=256,
        n_epochs=10,
        gamma=args.gamma,
        gae_lambda=0.95,
        clip_range=0.2,
        ent_coef=0.001,
        vf_coef=0.5,
        max_grad_norm=0.5,
        policy_kwargs={"net_arch": [64, 64]},
        seed=args.seed,
        device="cpu",
    )
    callback = KeepBest(every=320, episodes=4, seed=500_000)
    model.learn(total_timesteps=args.timesteps, callback=callback)

    model.policy.load_state_dict(callback.best_weights)
    venv.obs_rms = callback.best_statistics
    # Other starts and flags than those the weights were chosen by.
    returns = play(model.policy, venv, episodes=30, seed=900_000)
    print(f"return {np.mean(returns):.2f} +- {np.std(returns):.2f}, best before {callback.best_return:.2f}")
    print(json.dumps({"score": float(np.mean(returns))}))


if __name__ == "__main__":
    main()
