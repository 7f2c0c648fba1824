"""Mixed precision on the wine data: autocast, gradient scaler, clipping, repeated random splits."""

import argparse
import json

import numpy as np
import torch
from sklearn.datasets import load_wine

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--splits", type=int, default=4)
cfg = parser.parse_args()

torch.set_num_threads(1)
torch.manual_seed(cfg.seed)
rng = np.random.RandomState(cfg.seed)

wine = load_wine()
X_all = torch.tensor(wine.data, dtype=torch.float32)
y_all = torch.tensor(wine.target)


def build():
    return torch.nn.Sequential(
        torch.nn.Linear(13, 32),
        torch.nn.LayerNorm(32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, 32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, 3),
        torch.nn.LogSoftmax(dim=1),
    )


def fit_one(X, y, X_val, y_val):
    model = build()
    nll = torch.nn.NLLLoss()
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    lr_schedule = torch.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.97)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)

    for epoch in range(cfg.epochs):
        model.train()
        epoch_loss = 0.0
        for chunk in torch.randperm(len(X)).split(16):
            sgd.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                log_probs = model(X[chunk])
                loss = nll(log_probs.float(), y[chunk])
            scaler.scale(loss).backward()
            scaler.unscale_(sgd)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            scaler.step(sgd)
            scaler.update()
            epoch_loss += loss.item() * len(chunk)
        lr_schedule.step()

        if epoch % 5 == 4:
            model.eval()
            with torch.no_grad():
                accuracy = (model(X_val).argmax(1) == y_val).float().mean().item()
            print(f"  epoch {epoch + 1}: loss {epoch_loss / len(X):.4f} accuracy {accuracy:.3f}")
    return model


predictions, truths = [], []
for split in range(cfg.splits):
    order = rng.permutation(len(y_all))
    train_rows, test_rows = torch.from_numpy(order[:118]), torch.from_numpy(order[118:])
    mu = X_all[train_rows].mean(0)
    sigma = X_all[train_rows].std(0)
    X_tr, X_te = (X_all[train_rows] - mu) / sigma, (X_all[test_rows] - mu) / sigma

    print(f"split {split}")
    model = fit_one(X_tr, y_all[train_rows], X_te, y_all[test_rows])
    model.eval()
    with torch.no_grad():
        predictions.append(model(X_te).argmax(1))
    truths.append(y_all[test_rows])

score = (torch.cat(predictions) == torch.cat(truths)).float().mean().item()
print(json.dumps({"score": score}))
