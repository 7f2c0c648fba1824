"""A small trainer with modules in the style of Lightning, on three noisy spirals."""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class SpiralModule(nn.Module):
    def __init__(self, hidden=40, lr=5e-3):
        super().__init__()
        self.lr = lr
        self.body = nn.Sequential(
            nn.Linear(2, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
        )
        self.dropout = nn.Dropout(0.05)
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):
        return self.head(self.dropout(self.body(x)))

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        logits = self(x)
        return F.cross_entropy(logits, y, reduction="sum"), (logits.argmax(-1) == y).sum(), len(y)

    def configure_optimizers(self, total_steps):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=1e-4)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.lr, total_steps=total_steps)
        return optimizer, scheduler


class SpiralData:
    def __init__(self, seed, batch_size=24):
        generator = np.random.default_rng(seed)
        self.batch_size = batch_size
        self.train = self.draw(generator, 900)
        self.valid = self.draw(generator, 310)
        self.test = self.draw(generator, 910)

    @staticmethod
    def draw(generator, n):
        label = generator.integers(0, 3, n)
        radius = generator.uniform(0.15, 1.0, n)
        angle = 4.5 * radius + label * 2 * np.pi / 3 + generator.normal(0, 0.22, n)
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return TensorDataset(torch.tensor(points, dtype=torch.float32), torch.tensor(label))

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self):
        return DataLoader(self.valid, batch_size=128)

    def test_dataloader(self):
        return DataLoader(self.test, batch_size=128)


class Trainer:
    def __init__(self, max_epochs, folder, accumulate=2, clip=1.0, ema_decay=0.95):
        self.max_epochs = max_epochs
        self.checkpoint = Path(folder) / "best.pt"
        self.accumulate = accumulate
        self.clip = clip
        self.ema_decay = ema_decay
        self.best = -1.0

    def fit(self, module, data):
        train_loader, val_loader = data.train_dataloader(), data.val_dataloader()
        steps = self.max_epochs * (len(train_loader) // self.accumulate + 1)
        self.optimizer, self.scheduler = module.configure_optimizers(steps)
        self.ema = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        for epoch in range(self.max_epochs):
            train_loss = self.train_epoch(module, train_loader)
            current = {name: tensor.clone() for name, tensor in module.state_dict().items()}
            module.load_state_dict(self.ema)
            val_loss, val_acc = self.evaluate(module, val_loader)
            if val_acc > self.best:
                self.best = val_acc
                torch.save(module.state_dict(), self.checkpoint)
            module.load_state_dict(current)
            print(f"epoch={epoch} train_loss={train_loss:.4f} val_loss={val_loss:.4f} val_acc={val_acc:.4f}")

    def train_epoch(self, module, loader):
        module.train()
        losses = []
        self.optimizer.zero_grad()
        for index, batch in enumerate(loader):
            loss = module.training_step(batch)
            (loss / self.accumulate).backward()
            losses.append(loss.item())
            if (index + 1) % self.accumulate == 0 or index + 1 == len(loader):
                nn.utils.clip_grad_norm_(module.parameters(), self.clip)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
                self.update_average(module)
        return sum(losses) / len(losses)

    @torch.no_grad()
    def update_average(self, module):
        for name, tensor in module.state_dict().items():
            self.ema[name].mul_(self.ema_decay).add_(tensor, alpha=1 - self.ema_decay)

    @torch.no_grad()
    def evaluate(self, module, loader):
        module.eval()
        loss_sum, hits, count = 0.0, 0, 0
        for batch in loader:
            loss, hit, size = module.validation_step(batch)
            loss_sum += loss.item()
            hits += hit.item()
            count += size
        return loss_sum / count, hits / count

    def test(self, module, data):
        module.load_state_dict(torch.load(self.checkpoint, weights_only=True))
        return self.evaluate(module, data.test_dataloader())


def cli():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    data = SpiralData(args.seed)
    module = SpiralModule()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(args.epochs, folder)
        trainer.fit(module, data)
        test_loss, test_acc = trainer.test(module, data)
    print(json.dumps({"score": test_acc, "test_loss": test_loss}))


if __name__ == "__main__":
    cli()
