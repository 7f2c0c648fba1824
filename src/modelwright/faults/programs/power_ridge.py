# %% [markdown]
# # Town load, one day ahead
# Every hour is forecast 24 hours before it happens. Ridge on lags + weather + calendar, then a tiny
# net on what the ridge leaves over. Walk-forward in blocks of four weeks, nothing is ever shuffled in time.

# %%
import argparse
import json

import numpy as np
import pandas as pd
import torch
from torch import nn

ap = argparse.ArgumentParser()
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--epochs", type=int, default=25)
args = ap.parse_args()

torch.set_num_threads(1)
torch.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)

H = 24  # hours between the forecast and the hour it is for
LAGS = (24, 48, 168)
BLOCK = 24 * 28
FIRST = 24 * 7 * 44  # first hour to be forecast
HOLIDAYS = ["2023-01-26", "2023-04-07", "2023-04-10", "2023-04-25", "2023-05-01", "2023-10-02"]
HOLIDAYS += ["2023-12-25", "2023-12-26", "2024-01-01", "2024-01-26", "2024-03-29", "2024-04-01"]


# %% [markdown]
# ## Data
# `load.csv`: MW, stamped in local time, holes where the meter was down.
# `weather.csv`: stamped in UTC, observed and forecast (issued the day before) temperature, sunshine forecast.
# The feed sent tenths of a degree until the end of August 2023.
# Both are simulated here so that the notebook runs anywhere.


# %%
def ar1(n, phi, sd):
    out, e = np.zeros(n), rng.normal(0, sd, n)
    for i in range(1, n):
        out[i] = phi * out[i - 1] + e[i]
    return out


n = 24 * 7 * 76
local = pd.date_range("2023-01-02", periods=n, freq="h")
hour, day = local.hour.to_numpy(), np.arange(n) // 24
off = (local.day_of_week >= 5) | local.normalize().isin(pd.to_datetime(HOLIDAYS))
weather_kind = ar1(n // 24, 0.7, 2.2)[day]
temp = 19 + 7 * np.cos(2 * np.pi * (local.day_of_year.to_numpy() - 20) / 365.25) + weather_kind
temp = temp + 4.5 * np.cos(2 * np.pi * (hour - 15) / 24) + ar1(n, 0.9, 0.3)
clear = rng.beta(3, 1.5, n // 24)[day]
sun = 900 * clear * np.maximum(np.cos(2 * np.pi * (hour - 12) / 24), 0)
shape = 40 * np.exp(-(((hour - 8) / 2.5) ** 2)) + 70 * np.exp(-(((hour - 18.5) / 3) ** 2))
felt = pd.Series(temp).ewm(halflife=6).mean().to_numpy()
mw = 300 + shape + np.where(off, -30 - 25 * np.exp(-(((hour - 8) / 2.5) ** 2)), 0)
mw = mw + (4.0 + 0.09 * shape) * np.maximum(felt - 21, 0) + 5.0 * np.maximum(15 - felt, 0) - 0.05 * sun
mw = mw + ar1(n // 24, 0.85, 5.0)[day] + ar1(n, 0.8, 3.0)
for at in rng.choice(n - 12, 60, replace=False):
    mw[at : at + rng.integers(3, 12)] = np.nan

load = pd.Series(mw, index=local, name="load")
weather = pd.DataFrame(index=local - pd.Timedelta(hours=10))
weather["temp_obs"] = temp
weather["temp_fc"] = temp + ar1(n // 24, 0.3, 1.2)[day] + rng.normal(0, 0.4, n)
weather["sun_fc"] = sun * rng.uniform(0.75, 1.25, n // 24)[day]
weather.loc[weather.index < "2023-09-01", ["temp_obs", "temp_fc"]] *= 10

# %%
weather.loc[weather.index < "2023-09-01", ["temp_obs", "temp_fc"]] /= 10
weather.index = weather.index + pd.Timedelta(hours=10)  # UTC to local, no daylight saving up here
df = load.to_frame().join(weather, how="left")
known = df["load"].fillna(df["load"].shift(168)).ffill()  # holes: week before, else last value

# %% [markdown]
# ## Features, all known 24 hours ahead

# %%
X = pd.DataFrame(index=df.index)
for k in LAGS:
    X[f"lag_{k}"] = known.shift(k)
X["day_mean"] = known.shift(H).rolling(24).mean()
X["week_mean"] = known.shift(H).rolling(168).mean()
X["temp_seen"] = df["temp_obs"].shift(H)
t = df["temp_fc"]
X["temp"] = t
X["hot"] = np.maximum(t - 21, 0)
X["cold"] = np.maximum(15 - t, 0)
X["hot_day"] = np.maximum(t.rolling(12).mean() - 21, 0)
X["cold_day"] = np.maximum(15 - t.rolling(12).mean(), 0)
X["sun"] = df["sun_fc"]
holiday = pd.Series(df.index.normalize().isin(pd.to_datetime(HOLIDAYS)), index=df.index)
rest = (df.index.day_of_week >= 5) | holiday
X["rest"] = rest.astype(float)
X["rest_a_day_ago"] = rest.shift(H).astype(float)
X["rest_a_week_ago"] = rest.shift(168).astype(float)
for h in range(24):
    X[f"hour_{h}"] = (df.index.hour == h).astype(float)
    X[f"rest_hour_{h}"] = X[f"hour_{h}"] * X["rest"]
X["naive"] = known.shift(168)
X["y"] = df["load"]
X = X.dropna()
y, naive = X.pop("y").to_numpy(), X.pop("naive").to_numpy()
hours, X = X.index, X.to_numpy()
print(X.shape, hours[0], hours[-1])


# %% [markdown]
# ## Models


# %%
def ridge(Z, r, lam):
    return np.linalg.solve(Z.T @ Z + lam * np.eye(Z.shape[1]), Z.T @ r)


def fit_net(Z, r, Z_val, r_val, patience=4):
    """Small net on the residual r; keeps the weights of the best epoch on the validation rows."""
    Z, r, Z_val, r_val = (torch.tensor(a, dtype=torch.float32) for a in (Z, r, Z_val, r_val))
    net = nn.Sequential(nn.Linear(Z.shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
    opt = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-4)
    best, kept, waited = np.inf, None, 0
    for _ in range(args.epochs):
        for b in torch.randperm(len(Z)).split(256):
            loss = (net(Z[b]).squeeze(1) - r[b]).pow(2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
        with torch.no_grad():
            now = (net(Z_val).squeeze(1) - r_val).abs().mean().item()
        waited += 1
        if now < best:
            best, kept, waited = now, {k: v.clone() for k, v in net.state_dict().items()}, 0
        if waited == patience:
            break
    net.load_state_dict(kept)
    return net


# %% [markdown]
# ## Walk forward

# %%
rows = np.arange(len(X))
first = int(np.searchsorted(hours, local[FIRST]))
errors, naive_errors = [], []
for start in range(first, len(X), BLOCK):
    past, block = rows[: start - H], rows[start : start + BLOCK]
    early, late = past[:-BLOCK], past[-BLOCK:]

    mu, sd = X[early].mean(axis=0), X[early].std(axis=0)
    sd[sd == 0] = 1.0
    y_mu, y_sd = y[early].mean(), y[early].std()
    Z_early, Z_late, Z_block = ((X[i] - mu) / sd for i in (early, late, block))
    r_early, r_late = ((y[i] - y_mu) / y_sd for i in (early, late))

    tried = {lam: ridge(Z_early, r_early, lam) for lam in (0.1, 1.0, 10.0, 100.0, 1000.0)}
    lam = min(tried, key=lambda lam: np.abs(Z_late @ tried[lam] - r_late).mean())
    w = tried[lam]
    net = fit_net(Z_early, r_early - Z_early @ w, Z_late, r_late - Z_late @ w)

    with torch.no_grad():
        extra = net(torch.tensor(Z_block, dtype=torch.float32)).squeeze(1).numpy()
    pred = (Z_block @ w + extra) * y_sd + y_mu
    errors.append(np.abs(pred - y[block]))
    naive_errors.append(np.abs(naive[block] - y[block]))
    only_ridge = np.abs((Z_block @ w) * y_sd + y_mu - y[block]).mean()
    print(
        f"{hours[block[0]]:%d %b %Y}  lam {lam:6.1f}  MAE {errors[-1].mean():6.2f} MW  "
        f"ridge alone {only_ridge:6.2f}  last week {naive_errors[-1].mean():6.2f}"
    )

# %%
mae, naive_mae = np.concatenate(errors).mean(), np.concatenate(naive_errors).mean()
print(f"all blocks: {mae:.2f} MW, same hour of last week {naive_mae:.2f} MW")
print(json.dumps({"score": float(1 - mae / naive_mae)}))
