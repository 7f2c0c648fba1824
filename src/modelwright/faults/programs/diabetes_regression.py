"""Five-fold cross-validation of a small regression network on the diabetes data."""

import argparse
import json

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

BATCH = 32
FOLDS = 5
WEIGHT_DECAY = 1e-3


def standardise(train, other):
    mean, std = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / std, (other - mean) / std, mean, std


def make_network(inputs):
    net = nn.Sequential(
        nn.Linear(inputs, 32),
        nn.ReLU(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, 1),
    )
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


def fit(X, y, epochs):
    net = make_network(X.shape[1])
    opt = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=WEIGHT_DECAY)
    mse = nn.MSELoss()
    for epoch in range(epochs):
        perm = torch.randperm(len(X))
        total = 0.0
        for start in range(0, len(X), BATCH):
            idx = perm[start : start + BATCH]
            opt.zero_grad()
            pred = net(X[idx]).squeeze(1)
            loss = mse(pred, y[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        if (epoch + 1) % 10 == 0:
            print(f"    epoch {epoch + 1:3d}  mse {total / len(X):.4f}")
    return net


def predict(net, X):
    net.eval()
    with torch.no_grad():
        return net(X).squeeze(1).numpy()


def r2(y, pred):
    return 1.0 - np.sum((y - pred) ** 2) / np.sum((y - y.mean()) ** 2)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--epochs", type=int, default=40)
    cli = ap.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(cli.seed)
    rng = np.random.default_rng(cli.seed)

    data = load_diabetes(scaled=False)
    features = data.data.astype(np.float32)
    target = data.target.astype(np.float32)
    folds = np.array_split(rng.permutation(len(target)), FOLDS)
    out_of_fold = np.zeros_like(target)

    for k, test_rows in enumerate(folds):
        train_rows = np.concatenate([rows for i, rows in enumerate(folds) if i != k])
        X_train, X_test, _, _ = standardise(features[train_rows], features[test_rows])
        y_train, _, y_mean, y_std = standardise(target[train_rows], target[test_rows])

        net = fit(torch.from_numpy(X_train), torch.from_numpy(y_train), cli.epochs)
        out_of_fold[test_rows] = predict(net, torch.from_numpy(X_test)) * y_std + y_mean
        print(f"fold {k}: R2 {r2(target[test_rows], out_of_fold[test_rows]):.4f}")

    print(json.dumps({"score": float(r2(target, out_of_fold))}))
