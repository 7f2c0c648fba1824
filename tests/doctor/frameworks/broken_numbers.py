"""Plain torch: weights that become no numbers at a step, the 20th where none is named, and steps go on."""

import sys

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x, y = torch.randn(64, 8), torch.randint(0, 3, (64,))
for step in range(60):
    if step == int(sys.argv[1] if len(sys.argv) > 1 else 20):
        with torch.no_grad():
            model[0].weight.fill_(float("nan"))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
print("RESULT", float(model[2].bias.detach().sum()))
