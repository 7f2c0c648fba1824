"""Stable-Baselines3: one of its algorithms, named on the command line, on CartPole or Pendulum."""

import hashlib
import sys

import gymnasium
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import SubprocVecEnv, VecNormalize

name = sys.argv[1]
settings = {"seed": 0, "device": "cpu"}


def world(task):
    return gymnasium.make(task)


if name == "ppo":
    model = PPO(
        "MlpPolicy",
        make_vec_env(lambda: world("CartPole-v1"), n_envs=4),
        n_steps=128,
        batch_size=128,
        **settings,
    )
    steps = 6000
elif name == "ppo_pendulum":
    worlds = VecNormalize(make_vec_env(lambda: world("Pendulum-v1"), n_envs=4))
    model = PPO("MlpPolicy", worlds, n_steps=200, batch_size=100, gamma=0.9, use_sde=True, **settings)
    steps = 4000
elif name == "a2c":
    model = A2C("MlpPolicy", make_vec_env(lambda: world("CartPole-v1"), n_envs=8), **settings)
    steps = 8000
elif name == "dqn":
    model = DQN(
        "MlpPolicy", world("CartPole-v1"), learning_starts=500, target_update_interval=200, **settings
    )
    steps = 6000
elif name == "dqn_tau":
    model = DQN(
        "MlpPolicy", world("CartPole-v1"), learning_starts=500, tau=0.01, target_update_interval=1, **settings
    )
    steps = 4000
elif name == "sac":
    model = SAC(
        "MlpPolicy",
        world("Pendulum-v1"),
        policy_kwargs={"net_arch": [64, 64]},
        learning_starts=200,
        **settings,
    )
    steps = 1000
elif name == "processes":
    worlds = make_vec_env(
        "CartPole-v1", n_envs=2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"}
    )
    model = PPO("MlpPolicy", worlds, n_steps=64, batch_size=64, learning_rate=1e-5, **settings)
    steps = 1500
elif name == "td3":
    model = TD3(
        "MlpPolicy",
        world("Pendulum-v1"),
        policy_kwargs={"net_arch": [64, 64]},
        learning_starts=200,
        **settings,
    )
    steps = 1000
watched = (
    EvalCallback(world("CartPole-v1"), eval_freq=500, n_eval_episodes=2, verbose=0) if name == "dqn" else None
)
model.learn(steps, callback=watched)
state = b"".join(each.detach().numpy().tobytes() for each in model.policy.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), end=" ")
if name != "ppo_pendulum":
    print(evaluate_policy(model, model.get_env(), n_eval_episodes=2)[0])
else:
    print()
