"""Plain torch: a compiled model, by the backend that is named on the command line."""

import hashlib
import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
bare = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
model = torch.compile(bare, backend=sys.argv[1])
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    model.train()
    order = torch.randperm(1400)
    for start in range(0, 1400, 100):
        rows = order[start : start + 100]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = int((model(images[1400:]).argmax(dim=1) == labels[1400:]).sum())
state = b"".join(each.numpy().tobytes() for each in bare.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), right)
