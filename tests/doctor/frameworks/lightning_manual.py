"""Lightning: manual optimisation of two networks against each other, with accumulation of gradients."""

import hashlib
import logging
import warnings

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Pair(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.maker = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
        self.judge = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))

    def training_step(self, batch, at):
        (real,) = batch
        make, judge = self.optimizers()
        fake = self.maker(torch.randn(len(real), 4))
        self.toggle_optimizer(judge)
        for_real, for_fake = self.judge(real), self.judge(fake.detach())
        loss = nn.functional.binary_cross_entropy_with_logits(for_real, torch.ones_like(for_real))
        loss = loss + nn.functional.binary_cross_entropy_with_logits(for_fake, torch.zeros_like(for_fake))
        judge.zero_grad()
        self.manual_backward(loss)
        judge.step()
        self.untoggle_optimizer(judge)
        self.toggle_optimizer(make)
        told = self.judge(fake)
        loss = nn.functional.binary_cross_entropy_with_logits(told, torch.ones_like(told))
        self.manual_backward(loss / 2)
        if at % 2:
            self.clip_gradients(make, gradient_clip_val=1.0, gradient_clip_algorithm="norm")
            make.step()
            make.zero_grad()
        self.untoggle_optimizer(make)

    def configure_optimizers(self):
        rates = {"lr": 2e-3, "betas": (0.5, 0.99)}
        return [
            torch.optim.Adam(self.maker.parameters(), **rates),
            torch.optim.Adam(self.judge.parameters(), **rates),
        ]


L.seed_everything(0, verbose=False)
angle = torch.rand(2000) * 6.283
ring = torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(2000, 2)
model = Pair()
trainer = L.Trainer(
    max_epochs=4,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, DataLoader(TensorDataset(ring), batch_size=50, shuffle=True))
state = b"".join(each.numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest())
