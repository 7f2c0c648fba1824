"""Plain torch: a hundred million parameters, a few steps."""

import hashlib
import resource
import time

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(64, 5000),
    nn.ReLU(),
    *(m for _ in range(4) for m in (nn.Linear(5000, 5000), nn.ReLU())),
    nn.Linear(5000, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(512, 64), torch.randint(0, 10, (512,))
began = time.perf_counter()
for step in range(40):
    optimizer.zero_grad()
    rows = torch.randperm(512)[:16]
    nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
    optimizer.step()
seconds = time.perf_counter() - began
state = b"".join(each.detach().reshape(-1)[:1000].numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest())
print("SECONDS", seconds, "MIB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
