"""Tabular n-step expected SARSA on Taxi-v4 in the rain, where a move goes astray one time in five."""

import argparse
import json
from collections import deque

import gymnasium as gym
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--episodes", type=int, default=4000)
parser.add_argument("--time-limit", type=int, default=150)
parser.add_argument("--n-step", type=int, default=3)
parser.add_argument("--gamma", type=float, default=0.97)
parser.add_argument("--alpha", type=float, default=0.3)
parser.add_argument("--alpha-end", type=float, default=0.05)
parser.add_argument("--epsilon", type=float, default=0.5)
parser.add_argument("--epsilon-end", type=float, default=0.02)
parser.add_argument("--eval-episodes", type=int, default=300)


def make_taxi(time_limit):
    return gym.make("Taxi-v4", is_rainy=True, max_episode_steps=time_limit)


def epsilon_greedy_probabilities(values, epsilon):
    """Probability of each action; the best ones share what is not spent on exploration."""
    probabilities = np.full(len(values), epsilon / len(values))
    best = np.flatnonzero(values == values.max())
    probabilities[best] += (1.0 - epsilon) / len(best)
    return probabilities


def choose(values, epsilon, rng):
    """Draw an action from the epsilon-greedy distribution."""
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.choice(np.flatnonzero(values == values.max())))


def linear(start, end, fraction):
    return start + (end - start) * min(fraction, 1.0)


def n_step_update(q, window, bootstrap, gamma, alpha):
    """Move the value of the oldest pair in the window towards its n-step return, and drop it."""
    target = bootstrap
    for _, _, reward in reversed(window):
        target = reward + gamma * target
    state, action, _ = window.popleft()
    error = target - q[state, action]
    q[state, action] += alpha * error
    return abs(error)


def run_episode(env, q, rng, args, epsilon, alpha):
    """Play and learn for one episode; returns the sum of rewards and the mean absolute error."""
    state, _ = env.reset()
    window = deque()
    total, errors = 0.0, []
    while True:
        action = choose(q[state], epsilon, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        window.append((state, action, float(reward)))
        total += float(reward)

        # Nothing follows a delivery. A run out of time is cut, and its last state is worth what it was.
        if terminated:
            bootstrap = 0.0
        else:
            bootstrap = float(epsilon_greedy_probabilities(q[next_state], epsilon) @ q[next_state])
        if len(window) == args.n_step:
            errors.append(n_step_update(q, window, bootstrap, args.gamma, alpha))
        state = next_state
        if terminated or truncated:
            break
    while window:
        errors.append(n_step_update(q, window, bootstrap, args.gamma, alpha))
    return total, float(np.mean(errors))


def evaluate(q, args, rng):
    """Mean return of the greedy policy on fresh episodes."""
    env = make_taxi(args.time_limit)
    state, _ = env.reset(seed=args.seed + 77_777)
    returns, deliveries = [], 0
    for _ in range(args.eval_episodes):
        total, terminated, truncated = 0.0, False, False
        while not (terminated or truncated):
            state, reward, terminated, truncated, _ = env.step(choose(q[state], 0.0, rng))
            total += float(reward)
        returns.append(total)
        deliveries += int(terminated)
        state, _ = env.reset()
    env.close()
    return float(np.mean(returns)), deliveries / args.eval_episodes


def train(args):
    rng = np.random.default_rng(args.seed)
    env = make_taxi(args.time_limit)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    env.reset(seed=args.seed)

    recent_returns, recent_errors = deque(maxlen=200), deque(maxlen=200)
    for episode in range(args.episodes):
        fraction = episode / (0.8 * args.episodes)
        epsilon = linear(args.epsilon, args.epsilon_end, fraction)
        alpha = linear(args.alpha, args.alpha_end, fraction)
        total, error = run_episode(env, q, rng, args, epsilon, alpha)
        recent_returns.append(total)
        recent_errors.append(error)
        if (episode + 1) % 400 == 0:
            print(
                f"episode {episode + 1:5d}  epsilon {epsilon:.3f}  alpha {alpha:.3f}"
                f"  return {np.mean(recent_returns):8.2f}  |error| {np.mean(recent_errors):.3f}"
            )
    env.close()
    return q, rng


if __name__ == "__main__":
    arguments = parser.parse_args()
    table, generator = train(arguments)
    score, delivered = evaluate(table, arguments, generator)
    print(f"delivered {delivered:.3f}")
    print(json.dumps({"score": score}))
