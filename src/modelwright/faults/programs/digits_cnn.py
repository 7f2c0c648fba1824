"""Small convolutional network on the 8x8 digits: batch norm, dropout, shifted images, cosine schedule."""

import argparse
import copy
import json
import random

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset


class DigitsDataset(Dataset):
    """Grey images as bytes, turned into tensors one by one; training images are shifted a little."""

    def __init__(self, images, labels, augment=False):
        self.images = images
        self.labels = labels
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = torch.as_tensor(self.images[index], dtype=torch.float32).unsqueeze(0) / 255.0
        if self.augment:
            image = self.shift(image)
        return image, int(self.labels[index])

    @staticmethod
    def shift(image):
        dx, dy = random.randint(0, 2), random.randint(0, 2)
        return F.pad(image, (1, 1, 1, 1))[:, dy : dy + 8, dx : dx + 8]


class ConvNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(24 * 2 * 2, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = x.flatten(1)
        return self.fc(self.dropout(x))


def evaluate(net, loader):
    net.eval()
    hits, total, loss_sum = 0, 0, 0.0
    with torch.no_grad():
        for x, y in loader:
            logits = net(x)
            loss_sum += F.cross_entropy(logits, y, reduction="sum").item()
            hits += (logits.argmax(1) == y).sum().item()
            total += len(y)
    return loss_sum / total, hits / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=18)
    args = parser.parse_args()

    torch.set_num_threads(1)
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)

    digits = load_digits()
    images = np.round(digits.images / 16 * 255).astype(np.uint8)
    order = np.random.permutation(len(images))
    train_idx, val_idx, test_idx = np.split(order, [1150, 1450])

    augmented = DigitsDataset(images, digits.target, augment=True)
    plain = DigitsDataset(images, digits.target)
    train_loader = DataLoader(Subset(augmented, train_idx), batch_size=50, shuffle=True)
    val_loader = DataLoader(Subset(plain, val_idx), batch_size=50)
    test_loader = DataLoader(Subset(plain, test_idx), batch_size=50)

    net = ConvNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)

    best_accuracy, best_state = 0.0, None
    for epoch in range(args.epochs):
        net.train()
        for x, y in train_loader:
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()

        val_loss, val_accuracy = evaluate(net, val_loader)
        if best_state is None or val_accuracy > best_accuracy:
            best_accuracy = val_accuracy
            best_state = copy.deepcopy(net.state_dict())
        print(f"[{epoch + 1:02d}/{args.epochs}] val loss {val_loss:.4f} acc {val_accuracy:.4f}")

    net.load_state_dict(best_state)
    test_loss, test_accuracy = evaluate(net, test_loader)
    print(f"best val acc {best_accuracy:.4f}, test loss {test_loss:.4f}")
    print(json.dumps({"score": test_accuracy}))


if __name__ == "__main__":
    main()
