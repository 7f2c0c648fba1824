"""Accelerate: a loop of one's own with accumulation, clipping and a schedule, all prepared by it."""

import hashlib

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

set_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
bare = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(bare.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=90)
model, optimizer, seen, held_out, schedule = accelerator.prepare(
    bare,
    optimizer,
    DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=50, shuffle=True),
    DataLoader(TensorDataset(images[1400:], labels[1400:]), batch_size=100),
    schedule,
)
for epoch in range(6):
    model.train()
    for x, y in seen:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(x), y)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    model.eval()
    right = 0
    for x, y in held_out:
        with torch.inference_mode():
            told = model(x).argmax(dim=1)
        told, y = accelerator.gather_for_metrics((told, y))
        right += int((told == y).sum())
state = b"".join(each.numpy().tobytes() for each in bare.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), right)
