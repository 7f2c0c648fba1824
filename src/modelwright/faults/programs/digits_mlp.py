"""Classify 8x8 digits with a small multilayer perceptron."""

import argparse
import json

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--lr", type=float, default=1e-3)
args = parser.parse_args()

torch.set_num_threads(1)
torch.manual_seed(args.seed)
np.random.seed(args.seed)
device = torch.device("cpu")

# Pixels are counts from 0 to 16.
digits = load_digits()
images = digits.data.astype("float32") / 16.0
labels = digits.target.astype("int64")
train_images, test_images, train_labels, test_labels = train_test_split(
    images, labels, test_size=0.25, stratify=labels, random_state=args.seed
)

train_set = TensorDataset(torch.from_numpy(train_images), torch.from_numpy(train_labels))
test_set = TensorDataset(torch.from_numpy(test_images), torch.from_numpy(test_labels))
train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
test_loader = DataLoader(test_set, batch_size=256)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 64)
        self.dropout = nn.Dropout(0.25)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = self.dropout(x)
        x = torch.relu(self.fc2(x))
        x = self.dropout(x)
        return self.fc3(x)


model = Net().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)


def train():
    model.train()
    running_loss = 0.0
    for inputs, targets in train_loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * inputs.size(0)
    return running_loss / len(train_loader.dataset)


def test():
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            outputs = model(inputs)
            test_loss += criterion(outputs, targets).item() * inputs.size(0)
            correct += (outputs.argmax(dim=1) == targets).sum().item()
    return test_loss / len(test_loader.dataset), correct / len(test_loader.dataset)


accuracy = 0.0
for epoch in range(1, args.epochs + 1):
    train_loss = train()
    test_loss, accuracy = test()
    print(
        f"Epoch {epoch:2d}: train loss {train_loss:.4f}, test loss {test_loss:.4f}, accuracy {accuracy:.4f}"
    )

print(json.dumps({"score": accuracy, "test_loss": test_loss}))
