"""Lightning: a backbone that was trained before and stays frozen at first, then is thawed."""

import hashlib
import logging
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import BaseFinetuning, StochasticWeightAveraging
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Transfer(L.LightningModule):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.backbone(x))

    def training_step(self, batch, at):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def validation_step(self, batch, at):
        x, y = batch
        self.log("val_loss", nn.functional.cross_entropy(self(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(filter(lambda each: each.requires_grad, self.parameters()), lr=1e-3)


class Thaw(BaseFinetuning):
    def freeze_before_training(self, pl_module):
        self.freeze(pl_module.backbone)

    def finetune_function(self, pl_module, epoch, optimizer):
        if epoch == 2:
            self.unfreeze_and_add_param_group(pl_module.backbone, optimizer, lr=1e-4)


L.seed_everything(0, verbose=False)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
backbone = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
before = nn.Sequential(backbone, nn.Linear(32, 2))
optimizer = torch.optim.Adam(before.parameters(), lr=2e-3)
for start in range(0, 600, 30):
    rows = slice(start, start + 30)
    optimizer.zero_grad()
    nn.functional.cross_entropy(before(images[rows]), labels[rows] % 2).backward()
    optimizer.step()
model = Transfer(backbone)
trainer = L.Trainer(
    max_epochs=6,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[Thaw(), StochasticWeightAveraging(1e-3, swa_epoch_start=4)],
)
trainer.fit(
    model,
    DataLoader(TensorDataset(images[600:1400], labels[600:1400]), batch_size=40, shuffle=True),
    DataLoader(TensorDataset(images[1400:], labels[1400:]), batch_size=100),
)
state = b"".join(each.numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest())
