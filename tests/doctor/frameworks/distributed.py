"""Data-parallel over gloo: under torchrun, or as many processes of its own as the command line says."""

import hashlib
import os
import sys
import tempfile

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def work(rank, world, meeting):
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
    bare = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
    model = DistributedDataParallel(bare)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    rows = TensorDataset(images[:1400], labels[:1400])
    sampler = DistributedSampler(rows, num_replicas=world, rank=rank)
    batches = DataLoader(rows, batch_size=50, sampler=sampler)
    for epoch in range(4):
        sampler.set_epoch(epoch)
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = int((model(images[1400:]).argmax(dim=1) == labels[1400:]).sum())
    if rank == 0:
        state = b"".join(each.numpy().tobytes() for each in bare.state_dict().values())
        print("RESULT", hashlib.sha256(state).hexdigest(), right, flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    if "RANK" in os.environ:
        work(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "env://")
    elif int(sys.argv[1]) == 1:
        work(0, 1, f"file://{tempfile.mktemp()}")
    else:
        multiprocessing.spawn(work, (int(sys.argv[1]), f"file://{tempfile.mktemp()}"), int(sys.argv[1]))
