"""Lightning Fabric: a loop of one's own, set up by it."""

import hashlib
import logging

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
fabric = L.Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
fabric.launch()
fabric.seed_everything(0, verbose=False)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
bare = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Dropout(0.1), nn.Linear(64, 10))
model, optimizer = fabric.setup(bare, torch.optim.Adam(bare.parameters(), lr=2e-3))
seen = fabric.setup_dataloaders(
    DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=64, shuffle=True)
)
held_out = fabric.setup_dataloaders(DataLoader(TensorDataset(images[1400:], labels[1400:]), batch_size=64))
for epoch in range(6):
    model.train()
    for x, y in seen:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in held_out)
state = b"".join(each.numpy().tobytes() for each in bare.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), right)
