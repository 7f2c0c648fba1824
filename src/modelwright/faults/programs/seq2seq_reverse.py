"""A small encoder-decoder transformer that writes strings of symbols backwards.

Trained with teacher forcing on padded batches, tested by greedy decoding on strings never seen.
"""

import argparse
import json
import math
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

PAD, BOS, EOS = 0, 1, 2
FIRST_SYMBOL = 3


@dataclass
class Config:
    symbols: int = 8
    min_length: int = 3
    max_length: int = 7
    n_train: int = 3000
    n_test: int = 500
    d_model: int = 32
    heads: int = 4
    layers: int = 1
    dropout: float = 0.05
    batch_size: int = 50
    epochs: int = 6
    lr: float = 5e-3
    warmup_steps: int = 60
    clip: float = 1.0

    @property
    def vocabulary(self):
        return FIRST_SYMBOL + self.symbols


def make_pairs(cfg, rng):
    """Return distinct (source, target) pairs of token lists; the target ends with EOS and starts with BOS."""
    strings = set()
    while len(strings) < cfg.n_train + cfg.n_test:
        length = rng.randint(cfg.min_length, cfg.max_length)
        strings.add(tuple(FIRST_SYMBOL + rng.randrange(cfg.symbols) for _ in range(length)))
    strings = sorted(strings)
    rng.shuffle(strings)
    return [(list(string), [BOS, *reversed(string), EOS]) for string in strings]


def collate(pairs):
    sources = [torch.tensor(source) for source, _ in pairs]
    targets = [torch.tensor(target) for _, target in pairs]
    return (
        pad_sequence(sources, batch_first=True, padding_value=PAD),
        pad_sequence(targets, batch_first=True, padding_value=PAD),
    )


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=512):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        frequency = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        table = torch.zeros(max_len, d_model)
        table[:, 0::2] = torch.sin(position * frequency)
        table[:, 1::2] = torch.cos(position * frequency)
        self.register_buffer("table", table)

    def forward(self, x):
        return x + self.table[: x.size(1)]


class Seq2Seq(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.scale = math.sqrt(cfg.d_model)
        self.embedding = nn.Embedding(cfg.vocabulary, cfg.d_model, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight[BOS:], std=cfg.d_model**-0.5)
        self.positions = PositionalEncoding(cfg.d_model)
        self.dropout = nn.Dropout(cfg.dropout)
        sizes = {
            "d_model": cfg.d_model,
            "nhead": cfg.heads,
            "dim_feedforward": 2 * cfg.d_model,
            "dropout": cfg.dropout,
            "batch_first": True,
        }
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**sizes), cfg.layers, enable_nested_tensor=False
        )
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**sizes), cfg.layers)
        self.head = nn.Linear(cfg.d_model, cfg.vocabulary)

    def embed(self, tokens):
        return self.dropout(self.positions(self.embedding(tokens) * self.scale))

    def encode(self, src):
        return self.encoder(self.embed(src), src_key_padding_mask=src == PAD)

    def decode(self, tgt, memory, src):
        length = tgt.size(1)
        future = torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1)
        hidden = self.decoder(
            self.embed(tgt),
            memory,
            tgt_mask=future,
            tgt_key_padding_mask=tgt == PAD,
            memory_key_padding_mask=src == PAD,
        )
        return self.head(hidden)

    def forward(self, src, tgt):
        memory = self.encode(src)
        return self.decode(tgt, memory, src)


@torch.no_grad()
def greedy(model, src, max_tokens):
    """Return the decoded tokens, PAD after the first EOS."""
    memory = model.encode(src)
    tokens = torch.full((src.size(0), 1), BOS)
    finished = torch.zeros(src.size(0), dtype=torch.bool)
    for _ in range(max_tokens):
        logits = model.decode(tokens, memory, src)
        following = logits[:, -1].argmax(dim=-1)
        following = following.masked_fill(finished, PAD)
        tokens = torch.cat([tokens, following.unsqueeze(1)], dim=1)
        finished = finished | (following == EOS)
    return tokens[:, 1:]


def evaluate(model, loader):
    """Return the share of strings that are decoded without any error."""
    model.eval()
    right = total = 0
    for src, tgt in loader:
        expected = tgt[:, 1:]
        decoded = greedy(model, src, max_tokens=expected.size(1))
        right += (decoded == expected).all(dim=1).sum().item()
        total += len(src)
    return right / total


def train(model, loader, test_loader, cfg):
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, betas=(0.9, 0.98))
    total_steps = cfg.epochs * len(loader)

    def rate(step):
        warm = min(1.0, (step + 1) / cfg.warmup_steps)
        return warm * max(0.0, 1.0 - step / total_steps)

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for epoch in range(cfg.epochs):
        model.train()
        losses = []
        for src, tgt in loader:
            inputs, labels = tgt[:, :-1], tgt[:, 1:]
            logits = model(src, inputs)
            loss = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=PAD)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg.clip)
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        if (epoch + 1) % 3 == 0:
            exact = evaluate(model, test_loader)
            print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  exact {exact:.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    cfg = Config()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    pairs = make_pairs(cfg, random.Random(args.seed))
    train_pairs, test_pairs = pairs[: cfg.n_train], pairs[cfg.n_train :]
    train_loader = DataLoader(train_pairs, batch_size=cfg.batch_size, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(test_pairs, batch_size=250, collate_fn=collate)

    model = Seq2Seq(cfg)
    train(model, train_loader, test_loader, cfg)
    print(json.dumps({"score": evaluate(model, test_loader)}))


if __name__ == "__main__":
    main()
