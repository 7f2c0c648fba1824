"""Tag every position of variable-length token sequences with a GRU; padding is masked out of the loss."""

import argparse
import json

import numpy as np
import torch
import torch.nn as nn

PAD = 0
KEYS = [1, 2, 3, 4]
STEP = 5
VOCABULARY = 10
STATES = 4


def make_sequence(rng):
    """Tokens, and after each token the state of a small machine: keys set it, STEP moves it on."""
    length = rng.integers(6, 22)
    tokens = rng.choice(np.arange(1, VOCABULARY), size=length, p=[0.06] * 4 + [0.24] + [0.13] * 4)
    tokens[0] = rng.choice(KEYS)
    state, states = 0, []
    for token in tokens:
        if token in KEYS:
            state = KEYS.index(token)
        elif token == STEP:
            state = (state + 1) % STATES
        states.append(state)
    return tokens, np.array(states)


def collate(sequences):
    longest = max(len(tokens) for tokens, _ in sequences)
    tokens = torch.full((len(sequences), longest), PAD, dtype=torch.long)
    states = torch.zeros(len(sequences), longest, dtype=torch.long)
    for row, (token_row, state_row) in enumerate(sequences):
        tokens[row, : len(token_row)] = torch.from_numpy(token_row)
        states[row, : len(state_row)] = torch.from_numpy(state_row)
    return tokens, states


class Tagger(nn.Module):
    def __init__(self, embedding_dim=16, hidden_dim=48):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, embedding_dim, padding_idx=PAD)
        self.gru = nn.GRU(embedding_dim, hidden_dim, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(hidden_dim, STATES)

    def forward(self, tokens, hidden=None):
        features, hidden = self.gru(self.embedding(tokens), hidden)
        return self.head(self.dropout(features)), hidden


def masked_loss(scores, states, mask):
    losses = nn.functional.cross_entropy(scores.transpose(1, 2), states, reduction="none")
    return (losses * mask).sum() / mask.sum()


def evaluate(model, batches):
    model.eval()
    right, count = 0, 0
    with torch.inference_mode():
        for tokens, states in batches:
            scores, _ = model(tokens)
            mask = tokens != PAD
            right += ((scores.argmax(-1) == states) & mask).sum().item()
            count += mask.sum().item()
    model.train()
    return right / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    train_sequences = [make_sequence(rng) for _ in range(3000)]
    held_out = [make_sequence(rng) for _ in range(640)]
    test_batches = [collate(held_out[i : i + 64]) for i in range(0, len(held_out), 64)]

    model = Tagger()
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, step_size=150, gamma=0.5)
    model.train()
    running = []
    for step in range(1, options.steps + 1):
        picked = rng.integers(len(train_sequences), size=options.batch)
        tokens, states = collate([train_sequences[i] for i in picked])
        mask = (tokens != PAD).float()
        scores, _ = model(tokens)
        loss = masked_loss(scores, states, mask)

        for parameter in model.parameters():
            parameter.grad = None
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimiser.step()
        schedule.step()

        running.append(loss.item())
        if step % 100 == 0:
            accuracy = evaluate(model, test_batches)
            print(f"{step:5d}  loss {np.mean(running[-100:]):.4f}  accuracy {accuracy:.4f}")

    print(json.dumps({"score": evaluate(model, test_batches)}))


if __name__ == "__main__":
    main()
