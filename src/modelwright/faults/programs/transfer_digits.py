"""Pretrain an encoder on the digits 0 to 4, then train a new head for 5 to 9 from few examples."""

import argparse
import json
import logging
import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
log = logging.getLogger("transfer")


class Model(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        return self.head(self.encoder(x))


def train_one_epoch(model, optimizer, x, y, batch_size):
    model.train()
    total = 0.0
    for index in torch.randperm(len(x)).split(batch_size):
        if len(index) < 2:
            continue
        loss = cross_entropy(model(x[index]), y[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(index)
    return total / len(x)


@torch.inference_mode()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(dim=1) == y).float().mean().item()


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--shots", type=int, default=12)
    args = parser.parse_args(argv)

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    bunch = load_digits()
    x = torch.tensor(bunch.data / 16.0, dtype=torch.float32)
    y = torch.tensor(bunch.target)
    shuffled = torch.from_numpy(rng.permutation(len(y)))
    x, y = x[shuffled], y[shuffled]
    source, target = y < 5, y >= 5
    x_source, y_source = x[source], y[source]
    x_target, y_target = x[target], y[target] - 5

    support = torch.cat([(y_target == c).nonzero()[: args.shots, 0] for c in range(5)])
    is_query = torch.ones(len(y_target), dtype=torch.bool)
    is_query[support] = False

    model = Model(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(args.epochs):
        loss = train_one_epoch(model, optimizer, x_source[200:], y_source[200:], 32)
        if epoch % 5 == 4:
            log.info(
                "pretrain %d loss %.4f acc %.4f", epoch, loss, accuracy(model, x_source[:200], y_source[:200])
            )

    model.head = nn.Linear(64, 5)
    optimizer = torch.optim.AdamW(
        [
            {"params": model.encoder.parameters(), "lr": 5e-4},
            {"params": model.head.parameters(), "lr": 5e-3},
        ]
    )
    for epoch in range(2 * args.epochs):
        loss = train_one_epoch(model, optimizer, x_target[support], y_target[support], 20)
        if epoch % 5 == 4:
            acc = accuracy(model, x_target[is_query], y_target[is_query])
            log.info("finetune %d loss %.4f acc %.4f", epoch, loss, acc)

    print(json.dumps({"score": accuracy(model, x_target[is_query], y_target[is_query])}))


if __name__ == "__main__":
    main()
