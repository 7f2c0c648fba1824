"""Plain torch: things that are right and rarely done, one named on the command line."""

import copy
import hashlib
import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
seen, seen_labels, held_out, held_out_labels = images[:1400], labels[:1400], images[1400:], labels[1400:]
loss_of = nn.CrossEntropyLoss()


def batches(size=100):
    order = torch.randperm(len(seen))
    for start in range(0, len(order), size):
        yield seen[order[start : start + size]], seen_labels[order[start : start + size]]


def classifier():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def measure(model):
    model.eval()
    with torch.no_grad():
        right = int((model(held_out).argmax(dim=1) == held_out_labels).sum())
    model.train()
    return right


def lbfgs():
    model = classifier()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
    for x, y in [*batches(350), *batches(350), *batches(350)]:

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
    measure(model)
    return model


def empty_batches():
    model = classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(4):
        for x, y in batches():
            chosen = y < 10 if torch.rand(()) < 0.8 else y > 10
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[chosen]), y[chosen], reduction="sum").div(100).backward()
            optimizer.step()
        measure(model)
    return model


def checkpointed():
    first, last = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1)), nn.Linear(64, 10)
    optimizer = torch.optim.Adam([*first.parameters(), *last.parameters()], lr=2e-3)
    for epoch in range(4):
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(last(checkpoint(first, x, use_reentrant=False)), y).backward()
            optimizer.step()
    return nn.Sequential(first, last)


def averaged():
    model = classifier()
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(4):
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()
            average.update_parameters(model)
        measure(average)
    return model


def two_losses():
    trunk, head, side = nn.Sequential(nn.Linear(64, 64), nn.ReLU()), nn.Linear(64, 10), nn.Linear(64, 64)
    everything = nn.ModuleList([trunk, head, side])
    optimizer = torch.optim.Adam(everything.parameters(), lr=2e-3)
    for epoch in range(4):
        for x, y in batches():
            optimizer.zero_grad()
            found = trunk(x)
            loss_of(head(found), y).backward(retain_graph=True)
            (0.1 * nn.functional.mse_loss(side(found), x)).backward()
            optimizer.step()
    return everything


def recurrent():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells, self.head = nn.LSTM(8, 32, 2, batch_first=True, dropout=0.1), nn.Linear(32, 10)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x.reshape(-1, 8, 8), [8] * len(x), batch_first=True)
            _, (state, _) = self.cells(packed)
            return self.head(state[-1])

    model = Reader()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for epoch in range(4):
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()
        schedule.step()
        measure(model)
    return model


def sparse():
    model = nn.Sequential(nn.EmbeddingBag(17 * 64, 16, sparse=True), nn.Linear(16, 10))
    optimizers = [
        torch.optim.SparseAdam(model[0].parameters(), lr=0.01),
        torch.optim.Adam(model[1].parameters(), lr=0.01),
    ]
    for epoch in range(4):
        for x, y in batches():
            for each in optimizers:
                each.zero_grad()
            loss_of(model((x * 16).long() + 17 * torch.arange(64)), y).backward()
            for each in optimizers:
                each.step()
    return model


def per_parameter():
    model = classifier()
    optimizers = {each: torch.optim.SGD([each], lr=0.1) for each in model.parameters()}

    def use(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for each in model.parameters():
        each.register_post_accumulate_grad_hook(use)
    for epoch in range(5):
        for x, y in batches():
            loss_of(model(x), y).backward()
    return model


def distilled():
    teacher, student = classifier(), nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
    for epoch in range(4):
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(teacher(x), y).backward()
            optimizer.step()
    teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    for epoch in range(4):
        for x, y in batches():
            with torch.no_grad():
                soft = teacher(x).softmax(dim=1)
            optimizer.zero_grad()
            loss = nn.functional.kl_div(student(x).log_softmax(dim=1), soft, reduction="batchmean")
            (loss + 0.5 * loss_of(student(x), y)).backward()
            optimizer.step()
        measure(student)
    return student


def contrastive():
    online = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    slow = copy.deepcopy(online).requires_grad_(False)
    optimizer = torch.optim.AdamW(online.parameters(), lr=1e-3)
    for epoch in range(6):
        for x, _ in batches():
            one = nn.functional.normalize(online(x + 0.1 * torch.randn_like(x)), dim=1)
            other = nn.functional.normalize(slow(x + 0.1 * torch.randn_like(x)), dim=1)
            loss = loss_of(one @ other.T / 0.2, torch.arange(len(x)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for follower, leader in zip(slow.parameters(), online.parameters(), strict=True):
                    follower.lerp_(leader, 0.01)
    return online


def penalty():
    model = nn.Sequential(nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(3):
        for x, y in batches():
            x = x.clone().requires_grad_(True)
            loss = loss_of(model(x), y)
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
            optimizer.zero_grad()
            (loss + slope.square().sum()).backward()
            optimizer.step()
        measure(model)
    return model


def functional():
    model = classifier()
    weights = {name: each.detach().clone().requires_grad_(True) for name, each in model.named_parameters()}
    optimizer = torch.optim.Adam(weights.values(), lr=2e-3)
    for epoch in range(4):
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(torch.func.functional_call(model, weights, (x,)), y).backward()
            optimizer.step()
    model.load_state_dict({name: each.detach() for name, each in weights.items()})
    measure(model)
    return model


def threads():
    import threading

    kept = []

    def work():
        kept.append(recurrent())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return kept[0]


model = globals()[sys.argv[1]]()
state = b"".join(each.detach().numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest())
