"""Probabilistic forecast of the level [cm] of a tidal river six hours ahead, from level, rain and wind."""

import argparse
import copy
import json
import math

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, Dataset

WINDOW = 32
FEATURES = ["level", "rain", "smooth", "onshore", "alongshore"]


def read_gauge(seed, n=2 * 365 * 4):
    """Showers on a town that grows, a bed that silts and scours, and wind that pushes the sea inland."""
    rng = np.random.default_rng(9000 + seed)
    is_wet = np.zeros(n, dtype=bool)
    for t in range(1, n):
        is_wet[t] = rng.random() < (0.8 if is_wet[t - 1] else 0.07)
    rain = is_wet * rng.gamma(1.2, 3.0, n)
    direction = (200 + np.cumsum(rng.normal(0, 22, n))) % 360
    speed = rng.gamma(4.0, 1.6, n)
    push = speed * np.cos(np.deg2rad(direction - 270))
    delay = np.array([0, 0, 0.1, 0.5, 1.0, 0.9, 0.6, 0.4, 0.2, 0.1])
    bed = 180 + np.cumsum(rng.normal(0, 0.5, n))
    paved = np.linspace(0.5, 1.6, n)
    level = bed.copy()
    for t in range(len(delay), n):
        inflow = delay @ rain[t - len(delay) : t][::-1]
        drained = 0.88 * (level[t - 1] - bed[t - 1])
        noise = rng.normal(0, 1.5 + 0.12 * inflow)
        level[t] = bed[t] + drained + paved[t] * inflow + 1.3 * push[t - 1] + noise
    gauge = pd.DataFrame({"level": level, "rain": rain, "speed": speed, "direction": direction})
    gauge.loc[rng.random(n) < 0.01, "level"] = -999.0
    return gauge


def add_features(gauge):
    gauge["level"] = gauge["level"].replace(-999.0, np.nan).ffill()
    gauge["smooth"] = gauge["level"].rolling(3, min_periods=1).mean()
    angle = np.deg2rad(gauge["direction"])
    gauge["onshore"] = -gauge["speed"] * np.sin(angle)
    gauge["alongshore"] = gauge["speed"] * np.cos(angle)
    return gauge[FEATURES].to_numpy()


class Windows(Dataset):
    def __init__(self, values, starts):
        self.values = torch.as_tensor(values, dtype=torch.float32)
        self.starts = starts

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        at = self.starts[i]
        past = self.values[at : at + WINDOW]
        upcoming = self.values[at + 1 : at + WINDOW + 1, 0]
        return past.T, upcoming


class CausalBlock(nn.Module):
    def __init__(self, width, dilation, dropout):
        super().__init__()
        self.reach = 2 * dilation
        self.conv = parametrizations.weight_norm(nn.Conv1d(width, width, 3, dilation=dilation))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        padded = nn.functional.pad(x, (self.reach, 0))
        return x + self.dropout(torch.relu(self.conv(padded)))


class TCN(nn.Module):
    def __init__(self, n_features, width=20, dropout=0.05):
        super().__init__()
        self.inlet = nn.Conv1d(n_features, width, 1)
        self.blocks = nn.Sequential(*[CausalBlock(width, 2**k, dropout) for k in range(4)])
        self.outlet = nn.Conv1d(width, 2, 1)

    def forward(self, x):
        change, raw = self.outlet(self.blocks(self.inlet(x))).unbind(dim=1)
        sigma = nn.functional.softplus(raw) + 1e-3
        return x[:, 0] + change, sigma


def crps(mean, sigma, y):
    """Continuous ranked probability score of a Gaussian (Gneiting and Raftery, 2007); less is better."""
    z = (y - mean) / sigma
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return sigma * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))


@torch.no_grad()
def evaluate(model, loader):
    """Skill over persistence at the last step of each window, and the likelihood there."""
    model.eval()
    score, naive, nll, n = 0.0, 0.0, 0.0, 0
    for past, upcoming in loader:
        mean, sigma = (each[:, -1] for each in model(past))
        y = upcoming[:, -1]
        score += crps(mean, sigma, y).sum().item()
        naive += (y - past[:, 0, -1]).abs().sum().item()
        nll += nn.functional.gaussian_nll_loss(mean, y, sigma**2, reduction="sum").item()
        n += len(y)
    return 1 - score / naive, nll / n


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    values = add_features(read_gauge(args.seed))
    starts = np.arange(len(values) - WINDOW)
    first, second = int(0.6 * len(values)), int(0.8 * len(values))
    centre, spread = values[:first].mean(axis=0), values[:first].std(axis=0)
    values = (values - centre) / spread

    train = DataLoader(Windows(values, starts[: first - WINDOW]), batch_size=64, shuffle=True)
    valid = DataLoader(Windows(values, starts[first : second - WINDOW]), batch_size=256)
    test = DataLoader(Windows(values, starts[second:]), batch_size=256)

    model = TCN(values.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.3, patience=1)
    best_nll, best_state = math.inf, None
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for past, upcoming in train:
            mean, sigma = model(past)
            nll = nn.functional.gaussian_nll_loss(mean, upcoming, sigma**2, reduction="none")
            loss = nll.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(past)
        skill, valid_nll = evaluate(model, valid)
        plateau.step(valid_nll)
        if valid_nll < best_nll:
            best_nll, best_state = valid_nll, copy.deepcopy(model.state_dict())
        print(f"{epoch:3d} train {total / len(train.dataset):.4f} valid {valid_nll:.4f} skill {skill:.3f}")

    model.load_state_dict(best_state)
    skill, test_nll = evaluate(model, test)
    print(json.dumps({"score": skill, "nll": test_nll}))


if __name__ == "__main__":
    main()
