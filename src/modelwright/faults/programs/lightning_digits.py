"""Handwritten digits with Lightning: a data module with three splits and a small residual conv net.

Few pictures are used for training, most are kept for the test, so that augmentation and the
one-cycle schedule have something to do.
"""

import argparse
import json
import logging
import warnings

import lightning as L
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message=".*does not have many workers.*")


class DigitImages(Dataset):
    """Normalised 8x8 pictures; with `augment`, each is shifted by up to one pixel when it is read."""

    def __init__(self, images: Tensor, labels: Tensor, mean: float, std: float, augment: bool = False):
        self.images = images
        self.labels = labels
        self.mean = mean
        self.std = std
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index]
        if self.augment:
            top, left = torch.randint(0, 3, (2,)).tolist()
            image = F.pad(image, (1, 1, 1, 1))[:, top : top + 8, left : left + 8]
        image = (image - self.mean) / self.std
        return image, self.labels[index]


class DigitsData(L.LightningDataModule):
    """Training, validation and test pictures, in a random order fixed by the seed."""

    def __init__(self, seed: int, batch_size: int = 32, n_train: int = 500, n_val: int = 200):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        digits = load_digits()
        images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
        labels = torch.tensor(digits.target, dtype=torch.long)

        generator = torch.Generator().manual_seed(self.hparams.seed)
        order = torch.randperm(len(labels), generator=generator)
        n_train, n_val = self.hparams.n_train, self.hparams.n_val
        train, val, test = order[:n_train], order[n_train : n_train + n_val], order[n_train + n_val :]

        stats = {"mean": images[train].mean().item(), "std": images[train].std().item()}
        self.train_set = DigitImages(images[train], labels[train], **stats, augment=True)
        self.val_set = DigitImages(images[val], labels[val], **stats)
        self.test_set = DigitImages(images[test], labels[test], **stats)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train_set, batch_size=self.hparams.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val_set, batch_size=256)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test_set, batch_size=256)


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return F.relu(x + out)


class DigitsNet(L.LightningModule):
    """Classifier of digits with its losses, metrics and optimizer."""

    def __init__(self, channels: int = 16, depth: int = 2, dropout: float = 0.3, max_lr: float = 0.05):
        super().__init__()
        self.save_hyperparameters()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.blocks = nn.ModuleList([ResidualBlock(channels) for _ in range(depth)])
        self.hidden = nn.Linear(channels * 16, 64)
        self.head = nn.Linear(64, 10)
        self.accuracy = MulticlassAccuracy(num_classes=10, average="micro")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        x = F.max_pool2d(x, 2).flatten(1)
        x = F.relu(self.hidden(x))
        x = F.dropout(x, self.hparams.dropout, training=self.training)
        return self.head(x)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _evaluate(self, batch: tuple[Tensor, Tensor], stage: str) -> None:
        images, labels = batch
        logits = self(images)
        self.accuracy.update(logits, labels)
        self.log(f"{stage}_loss", F.cross_entropy(logits, labels), batch_size=len(labels))

    def _report(self, stage: str) -> None:
        self.log(f"{stage}_acc", self.accuracy.compute())
        self.accuracy.reset()

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.SGD(
            self.parameters(), lr=self.hparams.max_lr, momentum=0.9, nesterov=True, weight_decay=1e-4
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.hparams.max_lr, total_steps=self.trainer.estimated_stepping_batches
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class PrintProgress(L.Callback):
    """One line for every fifth epoch."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (trainer.current_epoch + 1) % 5 == 0:
            metrics = {name: round(value.item(), 4) for name, value in trainer.callback_metrics.items()}
            print(f"epoch {trainer.current_epoch + 1:3d} {metrics}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()

    torch.set_num_threads(1)
    L.seed_everything(args.seed, verbose=False)
    data = DigitsData(seed=args.seed)
    model = DigitsNet()
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=args.epochs,
        gradient_clip_val=1.0,
        deterministic=True,
        logger=False,
        callbacks=[PrintProgress()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)
    (result,) = trainer.test(model, datamodule=data, verbose=False)
    print(json.dumps({"score": result["test_acc"], "test_loss": result["test_loss"]}))


if __name__ == "__main__":
    main()
