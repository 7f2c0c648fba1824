"""A small agent in a world of its own that scales observations and rewards by running moments."""

__all__ = ["BARGES"]

BARGES = """import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Barges:
    n_actions = 3

    def __init__(self, count, limit, seed):
        self.count, self.limit = count, limit
        self.rng = np.random.default_rng(seed)
        self.x = np.zeros(count)
        self.v = np.zeros(count)
        self.wind = np.zeros(count)
        self.t = np.zeros(count, dtype=int)

    def _draw(self, which):
        k = int(which.sum())
        self.x[which] = self.rng.uniform(-2, 2, k)
        self.v[which] = 0.0
        self.wind[which] = self.rng.normal(0, 8.0, k)
        self.t[which] = 0

    def _see(self):
        return np.stack([self.x, 3 * self.v, self.wind + 20.0, np.abs(self.x) * 5], axis=1).astype(np.float32)

    def reset(self):
        self._draw(np.ones(self.count, dtype=bool))
        return self._see()

    def step(self, actions):
        self.v += 0.15 * (np.asarray(actions) - 1) + 0.004 * self.wind + self.rng.normal(0, 0.03, self.count)
        self.x += self.v
        self.t += 1
        sunk = np.abs(self.x) > 4
        reward = 3.0 - 2 * np.abs(self.x) - 20.0 * sunk
        late = (self.t >= self.limit) & ~sunk
        last = self._see()
        over = sunk | late
        if over.any():
            self._draw(over)
        return self._see(), reward, sunk, late, last


class Moments:
    def __init__(self, shape=()):
        self.mean, self.var, self.n = np.zeros(shape), np.ones(shape), 1e-4

    def add(self, rows):
        m, v, k = rows.mean(0), rows.var(0), len(rows)
        d, total = m - self.mean, self.n + k
        self.mean = self.mean + d * k / total
        self.var = (self.var * self.n + v * k + d**2 * self.n * k / total) / total
        self.n = total


def main():
    seed = 0
    np.random.seed(seed)
    torch.manual_seed(seed)
    N, T, GAMMA, LAM, EPOCHS, ITER = 8, 48, 0.97, 0.9, 2, 4
    world = Barges(N, 20, seed)
    seen, gained = Moments((4,)), Moments()
    running = np.zeros(N)

    def scale(rows, learn=True):
        if learn:
            seen.add(rows)
        return np.clip((rows - seen.mean) / np.sqrt(seen.var + 1e-8), -8, 8).astype(np.float32)

    actor = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
    critic = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    params = list(actor.parameters()) + list(critic.parameters())
    opt = torch.optim.Adam(params, lr=2e-3)
    obs = scale(world.reset())
    for it in range(ITER):
        O, A, L = np.zeros((T, N, 4), np.float32), np.zeros((T, N), np.int64), np.zeros((T, N), np.float32)
        R, V, VN = np.zeros((T, N), np.float32), np.zeros((T, N), np.float32), np.zeros((T, N), np.float32)
        TERM, OVER = np.zeros((T, N), np.float32), np.zeros((T, N), np.float32)
        for t in range(T):
            with torch.no_grad():
                x = torch.as_tensor(obs)
                logits = actor(x)
                policy = torch.distributions.Categorical(logits=logits)
                act = policy.sample()
                L[t] = policy.log_prob(act).numpy()
                V[t] = critic(x).squeeze(-1).numpy()
            O[t], A[t] = obs, act.numpy()
            raw, reward, sunk, late, last = world.step(act.numpy())
            over = sunk | late
            running = running * GAMMA + reward
            gained.add(running)
            running[over] = 0.0
            R[t] = np.clip(reward / np.sqrt(gained.var + 1e-8), -10, 10)
            obs = scale(raw)
            after = scale(last, learn=False)
            with torch.no_grad():
                VN[t] = critic(torch.as_tensor(after)).squeeze(-1).numpy()
            TERM[t], OVER[t] = sunk, over
        adv = np.zeros((T, N), np.float32)
        total = np.zeros(N, np.float32)
        for t in reversed(range(T)):
            delta = R[t] + GAMMA * (1 - TERM[t]) * VN[t] - V[t]
            total = delta + GAMMA * LAM * (1 - OVER[t]) * total
            adv[t] = total
        ret = adv + V
        bo, ba = torch.from_numpy(O.reshape(T * N, 4)), torch.from_numpy(A.reshape(-1))
        bl, badv = torch.from_numpy(L.reshape(-1)), torch.from_numpy(adv.reshape(-1))
        bret = torch.from_numpy(ret.reshape(-1))
        order = np.arange(T * N)
        for epoch in range(EPOCHS):
            np.random.shuffle(order)
            for s in range(0, T * N, 128):
                idx = order[s : s + 128]
                policy = torch.distributions.Categorical(logits=actor(bo[idx]))
                logp = policy.log_prob(ba[idx])
                ratio = (logp - bl[idx]).exp()
                a = badv[idx]
                a = (a - a.mean()) / (a.std() + 1e-8)
                pg = torch.max(-a * ratio, -a * ratio.clamp(0.8, 1.2)).mean()
                v = critic(bo[idx]).squeeze(-1)
                vl = 0.5 * ((v - bret[idx]) ** 2).mean()
                loss = pg + 0.5 * vl - 0.01 * policy.entropy().mean()
                opt.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(params, 0.5)
                opt.step()
    # evaluation
    test = Barges(4, 20, seed + 1000)
    raw = test.reset()
    got = np.zeros(4)
    for t in range(60):
        with torch.no_grad():
            act = actor(torch.as_tensor(scale(raw, learn=False))).argmax(-1).numpy()
        raw, reward, *_ = test.step(act)
        got += reward
    print(got.mean() / 60)


main()
"""
