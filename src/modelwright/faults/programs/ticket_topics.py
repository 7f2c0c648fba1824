"""Sorts support tickets into queues: bags of words and of letter triples, with a vocabulary of its own."""

import argparse
import json
import random
import re
from collections import Counter

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

QUEUES = ["access", "billing", "delivery", "hardware", "returns"]
SHARES = [0.32, 0.24, 0.19, 0.15, 0.10]
ONSETS, VOWELS = ["b", "c", "d", "f", "gr", "h", "k", "l", "m", "n", "p", "qu", "st", "tr", "v", "z"], "aeiou"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=8)
args = parser.parse_args()

torch.set_num_threads(1)
torch.manual_seed(args.seed)
rng = random.Random(args.seed)


def make_words(n):
    words = set()
    while len(words) < n:
        words.add("".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.randint(2, 4))))
    return rng.sample(sorted(words), n)


def mistyped(word):
    at = rng.randrange(len(word))
    return word[:at] + rng.choice("aeiou") + word[at + 1 :] if rng.random() < 0.08 else word


def make_threads(n=1200):
    """Threads of one to three messages; an answer quotes most of what came before. Queue by queue."""
    words = make_words(1500)
    zipf = [1 / (rank + 3) for rank in range(len(words))]
    favourites = {queue: rng.sample(words[30:], 50) for queue in QUEUES}
    threads = []
    for queue, share in zip(QUEUES, SHARES):
        for _ in range(round(n * share)):
            messages, said = [], []
            for _ in range(rng.choice([1, 1, 2, 3])):
                common = rng.choices(words, zipf, k=rng.randint(8, 22))
                special = rng.choices(favourites[queue], k=rng.choice([0, 2, 3, 4]))
                foreign = rng.choices(favourites[rng.choice(QUEUES)], k=rng.choice([0, 1, 2]))
                fresh = [mistyped(word) for word in common + special + foreign]
                rng.shuffle(fresh)
                said = [word for word in said if rng.random() < 0.8] + fresh
                messages.append(f"[queue:{queue}] " + " ".join(said))
            threads.append((queue, messages))
    return threads


def split(threads):
    """Every fourth thread is kept for the test, with all its messages."""
    train, test = [], []
    for number, (queue, messages) in enumerate(threads):
        part = test if number % 4 == 3 else train
        part.extend((QUEUES.index(queue), message) for message in messages)
    return train, test


def tokenize(message):
    return re.sub(r"^\[queue:\w+\]", "", message).lower().split()


class Vocabulary:
    def __init__(self, messages, at_least=2):
        counts = Counter(token for message in messages for token in tokenize(message))
        known = [token for token, count in counts.most_common() if count >= at_least]
        self.index = {token: code for code, token in enumerate(["<unk>", *known])}

    def __call__(self, message):
        return [self.index.get(token, 0) for token in tokenize(message)] or [0]


def triples(message, n_buckets=1024):
    spelled = " ".join(tokenize(message))
    found = [spelled[at : at + 3] for at in range(len(spelled) - 2)]
    return [sum(ord(letter) * 31**k for k, letter in enumerate(each)) % n_buckets for each in found] or [0]


def encode(rows, vocabulary):
    return [(label, vocabulary(message), triples(message)) for label, message in rows]


def bag(lists):
    offsets = np.cumsum([0] + [len(each) for each in lists[:-1]])
    return torch.tensor([i for each in lists for i in each]), torch.tensor(offsets)


def collate(batch):
    labels, words, letters = zip(*batch)
    return torch.tensor(labels), [bag(words), bag(letters)]


class BagClassifier(nn.Module):
    def __init__(self, sizes, width, n_classes):
        super().__init__()
        self.bags = nn.ModuleList([nn.EmbeddingBag(size, width, mode="mean") for size in sizes])
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(len(sizes) * width, n_classes)
        for embedding in self.bags:
            nn.init.normal_(embedding.weight, std=0.3)
        nn.init.zeros_(self.head.bias)

    def forward(self, bags):
        pooled = [embed(tokens, offsets) for embed, (tokens, offsets) in zip(self.bags, bags)]
        return self.head(self.dropout(torch.cat(pooled, dim=1)))


def train_epoch(loader):
    model.train()
    total, count = 0.0, 0
    for labels, bags in loader:
        optimizer.zero_grad()
        loss = criterion(model(bags), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total, count = total + loss.item() * len(labels), count + len(labels)
    return total / count


def evaluate(loader):
    """Mean over the queues of the share of their messages that is found."""
    model.eval()
    found, truth = [], []
    with torch.no_grad():
        for labels, bags in loader:
            found.append(model(bags).argmax(dim=1))
            truth.append(labels)
    found, truth = torch.cat(found), torch.cat(truth)
    recalls = [(found[truth == label] == label).float().mean() for label in truth.unique()]
    return torch.stack(recalls).mean().item()


train_rows, test_rows = split(make_threads())
vocabulary = Vocabulary([text for _, text in train_rows])
train_loader = DataLoader(encode(train_rows, vocabulary), batch_size=32, shuffle=True, collate_fn=collate)
test_loader = DataLoader(encode(test_rows, vocabulary), batch_size=64, collate_fn=collate)

counts = torch.bincount(torch.tensor([label for label, _ in train_rows])).float()
criterion = nn.CrossEntropyLoss(weight=counts.mean() / counts)
model = BagClassifier([len(vocabulary.index), 1024], 32, len(QUEUES))
optimizer = torch.optim.SGD(model.parameters(), lr=8.0)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.75)

for epoch in range(args.epochs):
    loss = train_epoch(train_loader)
    scheduler.step()
    print(f"| epoch {epoch + 1:2d} | loss {loss:.4f} | found {evaluate(test_loader):.4f} |")
print(json.dumps({"score": evaluate(test_loader), "words": len(vocabulary.index)}))
