"""Plain torch: autocast and a gradient scaler on a processor, convolutions, data-loader workers."""

import hashlib

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images / 16.0, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
    nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu")
seen = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=70, shuffle=True, num_workers=2)
held_out = DataLoader(TensorDataset(images[1400:], labels[1400:]), batch_size=100, num_workers=1)
for epoch in range(4):
    model.train()
    for x, y in seen:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in held_out)
state = b"".join(each.numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), right)
