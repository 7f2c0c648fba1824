"""Tabular Q-learning on the slippery 4x4 lake, NumPy only."""

import argparse
import json

import gymnasium as gym
import numpy as np

GAMMA = 0.98
EPSILON_START, EPSILON_END = 0.5, 0.02
ALPHA_START, ALPHA_END = 0.4, 0.02


def choose_action(q, state, epsilon, rng):
    """Explore with probability epsilon, otherwise the best action with ties broken at random."""
    if rng.random() < epsilon:
        return int(rng.integers(q.shape[1]))
    best = np.flatnonzero(q[state] == q[state].max())
    return int(rng.choice(best))


def run_training(env, episodes, seed):
    """The table of action values after the given number of episodes."""
    rng = np.random.default_rng(seed)
    # optimistic start: untried actions look good
    q = np.full((env.observation_space.n, env.action_space.n), 0.5)
    visits = np.zeros_like(q, dtype=int)
    wins = np.zeros(episodes)
    for episode in range(episodes):
        progress = episode / episodes
        epsilon = EPSILON_START + (EPSILON_END - EPSILON_START) * progress
        alpha = ALPHA_START + (ALPHA_END - ALPHA_START) * progress
        state, _ = env.reset(seed=seed if episode == 0 else None)
        terminated = truncated = False
        while not (terminated or truncated):
            action = choose_action(q, state, epsilon, rng)
            next_state, reward, terminated, truncated, _ = env.step(action)
            future = 0.0 if terminated else np.max(q[next_state])
            td_error = reward + GAMMA * future - q[state, action]
            q[state, action] += alpha * td_error
            visits[state, action] += 1
            state = next_state
        wins[episode] = reward
        if (episode + 1) % (episodes // 10) == 0:
            window = wins[episode + 1 - episodes // 10 : episode + 1]
            print(
                f"episode {episode + 1}: success {window.mean():.3f}, epsilon {epsilon:.2f}, "
                f"alpha {alpha:.3f}, V(start) {q[0].max():.4f}, least visits {visits[:-1].max(axis=1).min()}"
            )
    return q


def success_rate(env, q, episodes, seed):
    """Share of greedy episodes that reach the goal."""
    policy = q.argmax(axis=1)
    reached = 0
    state, _ = env.reset(seed=seed)
    for _ in range(episodes):
        done = False
        while not done:
            state, reward, terminated, truncated, _ = env.step(int(policy[state]))
            done = terminated or truncated
        reached += reward > 0
        state, _ = env.reset()
    return reached / episodes


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--episodes", "--steps", type=int, default=5000)
    options = cli.parse_args()

    lake = gym.make("FrozenLake-v1", map_name="4x4", is_slippery=True, disable_env_checker=True)
    table = run_training(lake, options.episodes, options.seed)
    print(np.array2string(table.argmax(axis=1).reshape(4, 4)))
    print(json.dumps({"score": float(success_rate(lake, table, 500, options.seed + 1000))}))
