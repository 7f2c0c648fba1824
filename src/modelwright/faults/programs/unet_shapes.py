"""Segments circles, crosses and triangles in noisy colour pictures with a small U-Net."""

import argparse
import copy
import json

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ["background", "circle", "cross", "triangle"]
CANVAS = 48  # pictures are drawn at this size ...
SIZE = 24  # ... and used at this one


def draw_shape(kind, cx, cy, radius):
    """Return the pixels of one shape as a boolean array."""
    y, x = np.mgrid[:CANVAS, :CANVAS].astype(np.float64)
    dx, dy = x - cx, y - cy
    if kind == 1:
        return dx**2 + dy**2 <= radius**2
    if kind == 2:
        near, far = np.minimum(np.abs(dx), np.abs(dy)), np.maximum(np.abs(dx), np.abs(dy))
        return (near <= 0.3 * radius) & (far <= radius)
    return (dy <= 0.7 * radius) & (dy >= 2.0 * np.abs(dx) - radius)


def draw_picture(rng):
    """Return a picture (height, width, 3) of bytes and its mask of classes (height, width)."""
    slope = rng.uniform(-0.6, 0.6, 2)
    y, x = np.mgrid[:CANVAS, :CANVAS] - CANVAS / 2
    canvas = rng.uniform(10, 100, 3) + (slope[0] * x + slope[1] * y)[..., None]
    mask = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(1, 4)
        cx, cy = rng.uniform(8, CANVAS - 8, 2)
        inside = draw_shape(kind, cx, cy, rng.uniform(6, 12))
        canvas[inside] = rng.uniform(130, 250, 3)
        mask[inside] = kind
    canvas += rng.normal(0, 15, canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8), mask


def shrink(picture, mask):
    """Bring a picture and its mask from the size of the canvas to the size of the net."""
    picture = torch.from_numpy(picture).permute(2, 0, 1).float()
    mask = torch.from_numpy(mask)[None].float()
    picture = F.interpolate(picture[None], size=(SIZE, SIZE), mode="area")[0]
    mask = F.interpolate(mask[None], size=(SIZE, SIZE), mode="nearest")[0, 0]
    return picture, mask.long()


class ShapesDataset(Dataset):
    def __init__(self, count, seed, augment=False):
        rng = np.random.default_rng(seed)
        pairs = [shrink(*draw_picture(rng)) for _ in range(count)]
        self.pictures = torch.stack([picture for picture, _ in pairs]) / 255.0
        self.masks = torch.stack([mask for _, mask in pairs])
        self.augment = augment
        self.rng = rng

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        picture, mask = self.pictures[index], self.masks[index]
        if self.augment:
            rng = self.rng
            if rng.random() < 0.5:
                picture, mask = picture.flip(-1), mask.flip(-1)
            # No upside-down flips: triangles stand on their base. Colours may be exchanged and dimmed.
            picture = picture[torch.from_numpy(rng.permutation(3))]
            picture = picture * float(rng.uniform(0.7, 1.1))
        return (picture - 0.5) / 0.25, mask


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.block(x)


class UNet(nn.Module):
    def __init__(self, widths=(8, 16, 32), classes=4):
        super().__init__()
        a, b, c = widths
        self.down1 = DoubleConv(3, a)
        self.down2 = DoubleConv(a, b)
        self.bottom = DoubleConv(b, c)
        self.reduce2 = nn.Conv2d(c, b, 1)
        self.up2 = DoubleConv(2 * b, b)
        self.reduce1 = nn.Conv2d(b, a, 1)
        self.up1 = DoubleConv(2 * a, a)
        self.head = nn.Conv2d(a, classes, 1)

    def forward(self, x):
        skip1 = self.down1(x)
        skip2 = self.down2(F.max_pool2d(skip1, 2))
        x = self.bottom(F.max_pool2d(skip2, 2))
        x = self.reduce2(F.interpolate(x, scale_factor=2, mode="nearest"))
        x = self.up2(torch.cat([x, skip2], dim=1))
        x = self.reduce1(F.interpolate(x, scale_factor=2, mode="nearest"))
        x = self.up1(torch.cat([x, skip1], dim=1))
        return self.head(x)


def dice_score(logits, masks):
    """Return the soft Dice coefficient, the mean over classes, of a whole batch."""
    probabilities = logits.softmax(dim=1)
    truth = F.one_hot(masks, logits.size(1)).permute(0, 3, 1, 2).float()
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = (probabilities + truth).sum(dim=(0, 2, 3))
    return ((2 * overlap + 1) / (total + 1)).mean()


@torch.no_grad()
def evaluate(model, loader):
    """Return the intersection over union of each class, counted over all pixels of the loader."""
    model.eval()
    n = len(CLASSES)
    confusion = torch.zeros(n, n, dtype=torch.long)
    for pictures, masks in loader:
        predicted = model(pictures).argmax(dim=1)
        confusion += torch.bincount((masks * n + predicted).flatten(), minlength=n * n).reshape(n, n)
    hit = confusion.diag().float()
    return hit / (confusion.sum(dim=0) + confusion.sum(dim=1) - hit).clamp(min=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=11)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=4e-3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    train_set = ShapesDataset(320, seed=(args.seed, 0), augment=True)
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True)
    val_loader = DataLoader(ShapesDataset(80, seed=(args.seed, 1)), batch_size=40)
    test_loader = DataLoader(ShapesDataset(160, seed=(args.seed, 2)), batch_size=40)

    # Most pixels are background; rare classes weigh more, by the root of their frequency.
    frequency = torch.bincount(train_set.masks.flatten(), minlength=len(CLASSES)) / train_set.masks.numel()
    weights = frequency.rsqrt() / frequency.rsqrt().mean()

    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)
    best_iou, best_state = -1.0, None
    for epoch in range(args.epochs):
        model.train()
        total_loss = 0.0
        for pictures, masks in train_loader:
            logits = model(pictures)
            loss = F.cross_entropy(logits, masks, weight=weights) + (1 - dice_score(logits, masks))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * len(pictures)
        scheduler.step()

        val_iou = evaluate(model, val_loader)[1:].mean().item()
        if val_iou > best_iou:
            best_iou = val_iou
            best_state = copy.deepcopy(model.state_dict())
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2d}  loss {total_loss / len(train_set):.4f}  val iou {val_iou:.4f}")

    model.load_state_dict(best_state)
    test_iou = evaluate(model, test_loader)
    print("  ".join(f"{name} {iou:.4f}" for name, iou in zip(CLASSES, test_iou.tolist())))
    print(json.dumps({"score": test_iou[1:].mean().item()}))


if __name__ == "__main__":
    main()
