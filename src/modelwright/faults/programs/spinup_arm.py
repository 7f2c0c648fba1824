"""PPO in the manner of Spinning Up: an arm with two joints moves its tip to a target and stays there."""

import argparse
import json

import gymnasium as gym
import numpy as np
import scipy.signal
import torch
from torch import nn
from torch.distributions.normal import Normal
from torch.optim import Adam


class ArmEnv(gym.Env):
    """Torques at two joints for 50 steps; a joint that turns too fast trips the brake, and all is over."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (8,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.q = self.np_random.uniform(-np.pi, np.pi, 2)
        self.qd = self.np_random.uniform(-0.5, 0.5, 2)
        radius, angle = self.np_random.uniform(0.5, 1.8), self.np_random.uniform(-np.pi, np.pi)
        self.target = radius * np.array([np.cos(angle), np.sin(angle)])
        self.t = 0
        return self._observation(), {}

    def _offset(self):
        first, both = self.q[0], self.q[0] + self.q[1]
        return np.array([np.cos(first) + np.cos(both), np.sin(first) + np.sin(both)]) - self.target

    def _observation(self):
        return np.concatenate([np.cos(self.q), np.sin(self.q), 0.5 * self.qd, self._offset()]).astype(
            np.float32
        )

    def step(self, action):
        torque = np.clip(action, -1.0, 1.0)
        self.qd = 0.9 * self.qd + 0.6 * torque
        self.q = self.q + 0.15 * self.qd
        self.t += 1
        tripped = bool(np.abs(self.qd).max() > 2.2)
        reward = 1.0 - np.linalg.norm(self._offset()) - 0.05 * np.square(torque).sum() - 10.0 * tripped
        return self._observation(), float(reward), tripped, self.t >= 50, {}


def mlp(sizes, activation, output_activation=nn.Identity):
    layers = []
    for j in range(len(sizes) - 1):
        act = activation if j < len(sizes) - 2 else output_activation
        layers += [nn.Linear(sizes[j], sizes[j + 1]), act()]
    return nn.Sequential(*layers)


def discount_cumsum(x, discount):
    """[x0 + discount * x1 + discount^2 * x2, x1 + discount * x2, x2]"""
    return scipy.signal.lfilter([1], [1, -discount], x[::-1], axis=0)[::-1]


class MLPActorCritic(nn.Module):
    def __init__(self, obs_dim, act_dim, hidden_sizes):
        super().__init__()
        self.log_std = nn.Parameter(torch.full((act_dim,), -0.5))
        self.mu_net = mlp([obs_dim, *hidden_sizes, act_dim], nn.Tanh)
        self.v_net = mlp([obs_dim, *hidden_sizes, 1], nn.Tanh)

    def pi(self, obs, act=None):
        dist = Normal(self.mu_net(obs), torch.exp(self.log_std), validate_args=False)
        return dist, None if act is None else dist.log_prob(act).sum(axis=-1)

    def v(self, obs):
        return torch.squeeze(self.v_net(obs), -1)

    def step(self, obs):
        with torch.no_grad():
            dist, _ = self.pi(obs)
            a = dist.sample()
            logp_a = dist.log_prob(a).sum(axis=-1)
            return a.numpy(), self.v(obs).item(), logp_a.item()


class PPOBuffer:
    """Trajectories of one epoch, with advantages by GAE(lambda) and rewards-to-go for the values."""

    def __init__(self, obs_dim, act_dim, size, gamma=0.99, lam=0.95):
        self.obs_buf = np.zeros((size, obs_dim), dtype=np.float32)
        self.act_buf = np.zeros((size, act_dim), dtype=np.float32)
        self.adv_buf, self.ret_buf = np.zeros((2, size), dtype=np.float32)
        self.rew_buf, self.val_buf, self.logp_buf = np.zeros((3, size), dtype=np.float32)
        self.gamma, self.lam = gamma, lam
        self.ptr, self.path_start_idx, self.max_size = 0, 0, size

    def store(self, obs, act, rew, val, logp):
        self.obs_buf[self.ptr] = obs
        self.act_buf[self.ptr] = act
        self.rew_buf[self.ptr] = rew
        self.val_buf[self.ptr] = val
        self.logp_buf[self.ptr] = logp
        self.ptr += 1

    def finish_path(self, last_val=0.0):
        path_slice = slice(self.path_start_idx, self.ptr)
        rews = np.append(self.rew_buf[path_slice], last_val)
        vals = np.append(self.val_buf[path_slice], last_val)
        deltas = rews[:-1] + self.gamma * vals[1:] - vals[:-1]
        self.adv_buf[path_slice] = discount_cumsum(deltas, self.gamma * self.lam)
        self.ret_buf[path_slice] = discount_cumsum(rews, self.gamma)[:-1]
        self.path_start_idx = self.ptr

    def get(self):
        assert self.ptr == self.max_size
        self.ptr, self.path_start_idx = 0, 0
        self.adv_buf = (self.adv_buf - self.adv_buf.mean()) / self.adv_buf.std()
        names = ("obs", "act", "ret", "adv", "logp")
        return {name: torch.as_tensor(getattr(self, name + "_buf")) for name in names}


def ppo(env, seed, steps_per_epoch, epochs, gamma=0.95, lam=0.9, clip_ratio=0.2, target_kl=0.03):
    torch.manual_seed(seed)
    obs_dim, act_dim = env.observation_space.shape[0], env.action_space.shape[0]
    ac = MLPActorCritic(obs_dim, act_dim, (64, 64))
    buf = PPOBuffer(obs_dim, act_dim, steps_per_epoch, gamma, lam)
    pi_optimizer = Adam([*ac.mu_net.parameters(), ac.log_std], lr=2e-3)
    vf_optimizer = Adam(ac.v_net.parameters(), lr=3e-3)

    def compute_loss_pi(data):
        _, logp = ac.pi(data["obs"], data["act"])
        ratio = torch.exp(logp - data["logp"])
        clip_adv = torch.clamp(ratio, 1 - clip_ratio, 1 + clip_ratio) * data["adv"]
        loss_pi = -(torch.min(ratio * data["adv"], clip_adv)).mean()
        approx_kl = (data["logp"] - logp).mean().item()
        return loss_pi, approx_kl

    def compute_loss_v(data):
        return ((ac.v(data["obs"]) - data["ret"]) ** 2).mean()

    def update():
        data = buf.get()
        kl, iters = 0.0, 0
        while iters < 30 and kl <= 1.5 * target_kl:
            loss_pi, kl = compute_loss_pi(data)
            pi_optimizer.zero_grad()
            loss_pi.backward()
            pi_optimizer.step()
            iters += 1
        for _ in range(30):
            vf_optimizer.zero_grad()
            loss_v = compute_loss_v(data)
            loss_v.backward()
            vf_optimizer.step()
        return iters, kl, loss_v.item()

    o, _ = env.reset(seed=seed)
    ep_ret, returns = 0.0, []
    for epoch in range(epochs):
        for t in range(steps_per_epoch):
            a, v, logp = ac.step(torch.as_tensor(o))
            next_o, r, terminated, truncated, _ = env.step(a)
            ep_ret += r
            buf.store(o, a, r, v, logp)
            o = next_o  # critical

            epoch_ended = t == steps_per_epoch - 1
            if terminated or truncated or epoch_ended:
                # a trajectory that was cut off, by the limit or by the epoch, goes on in the value
                v = 0.0 if terminated else ac.step(torch.as_tensor(o))[1]
                buf.finish_path(v)
                if terminated or truncated:
                    returns.append(ep_ret)
                (o, _), ep_ret = env.reset(), 0.0
        iters, kl, loss_v = update()
        if epoch % 5 == 4:
            log = f"StopIter {iters} KL {kl:.4f} LossV {loss_v:.3f} Std {ac.log_std.exp().mean().item():.3f}"
            print(f"Epoch {epoch + 1} AverageEpRet {np.mean(returns[-60:]):.2f} {log}")
    return float(np.mean(returns[-60:]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", "-s", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=25)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps({"score": ppo(ArmEnv(), args.seed, args.steps, args.epochs)}))
