"""Malignant or benign: a small network with early stopping on the Wisconsin breast cancer data."""

import argparse
import json

import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class Classifier(torch.nn.Module):
    def __init__(self, n_features, n_hidden=24):
        super().__init__()
        self.hidden = torch.nn.Linear(n_features, n_hidden)
        self.output = torch.nn.Linear(n_hidden, 1)

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        return self.output(h).squeeze(-1)


def load(seed):
    frame = load_breast_cancer(as_frame=True).frame
    frame["malignant"] = 1 - frame.pop("target")
    train, rest = train_test_split(frame, test_size=0.4, stratify=frame["malignant"], random_state=seed)
    valid, test = train_test_split(rest, test_size=0.5, stratify=rest["malignant"], random_state=seed)

    columns = [name for name in frame.columns if name != "malignant"]
    scaler = StandardScaler().fit(train[columns])

    def to_tensors(part):
        x = torch.tensor(scaler.transform(part[columns]), dtype=torch.float32)
        y = torch.tensor(part["malignant"].to_numpy(), dtype=torch.float32)
        return x, y

    return to_tensors(train), to_tensors(valid), to_tensors(test)


def balanced_accuracy(logits, y):
    positive = logits > 0
    sensitivity = positive[y == 1].float().mean()
    specificity = (~positive[y == 0]).float().mean()
    return (0.5 * (sensitivity + specificity)).item()


def run(args):
    torch.manual_seed(args.seed)
    (x_train, y_train), (x_valid, y_valid), (x_test, y_test) = load(args.seed)
    n_positive = y_train.sum()
    pos_weight = (len(y_train) - n_positive) / n_positive

    model = Classifier(x_train.shape[1])
    optimizer = torch.optim.RMSprop(model.parameters(), lr=args.lr)
    history = []
    best_loss, best_weights, wait = float("inf"), None, 0

    for epoch in range(args.epochs):
        model.train()
        for batch in torch.randperm(len(x_train)).split(16):
            logits = model(x_train[batch])
            loss = F.binary_cross_entropy_with_logits(logits, y_train[batch], pos_weight=pos_weight)
            model.zero_grad()
            loss.backward()
            optimizer.step()

        model.eval()
        with torch.no_grad():
            valid_logits = model(x_valid)
            valid_loss = F.binary_cross_entropy_with_logits(
                valid_logits, y_valid, pos_weight=pos_weight
            ).item()
        history.append((epoch, valid_loss, balanced_accuracy(valid_logits, y_valid)))

        if valid_loss < best_loss:
            best_loss, wait = valid_loss, 0
            best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            wait += 1
            if wait >= args.patience:
                break

    print(pd.DataFrame(history, columns=["epoch", "valid_loss", "valid_bacc"]).to_string(index=False))
    if best_weights is not None:
        model.load_state_dict(best_weights)
    model.eval()
    with torch.no_grad():
        test_logits = model(x_test)
        test_loss = F.binary_cross_entropy_with_logits(test_logits, y_test, pos_weight=pos_weight).item()
        return balanced_accuracy(test_logits, y_test), test_loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--patience", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    score, loss = run(arguments)
    print(json.dumps({"score": score, "test_loss": loss}))
