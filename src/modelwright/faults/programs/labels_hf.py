"""Reads digits off colour labels and reports what is wrong with the print, with Hugging Face's Trainer."""

import argparse
import json
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback


def print_labels(seed):
    """Coloured 12x12 pictures (N, 12, 12, 3) of bytes, digits (N,) and damages (N, 3)."""
    rng = np.random.default_rng(seed)
    scans, digits = load_digits(return_X_y=True)
    damages = rng.random((len(digits), 3)) < [0.15, 0.12, 0.10]
    pictures = np.empty((len(digits), 12, 12, 3), dtype=np.uint8)
    for i, (inverted, scratched, faded) in enumerate(damages):
        canvas = np.zeros((12, 12))
        top, left = rng.integers(1, 4, 2)
        canvas[top : top + 8, left : left + 8] = scans[i].reshape(8, 8) / 16
        if scratched:
            canvas[np.arange(12), np.clip(rng.integers(12) + np.arange(12) // 3 - 2, 0, 11)] = 1.0
        canvas = 1 - canvas if inverted else canvas
        canvas = 0.5 + 0.45 * (canvas - 0.5) if faded else canvas
        paint = canvas[:, :, None] * rng.uniform(0.6, 1.0, 3) * 255 + rng.normal(0, 10, (12, 12, 3))
        pictures[i] = paint.clip(0, 255)
    return pictures, digits, damages.astype(np.float32)


class Labels(torch.utils.data.Dataset):
    def __init__(self, pictures, digits, damages, shaken=False):
        scaled = (pictures.astype(np.float32) - 128) / 128
        self.pixels = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        self.digits, self.damages = torch.from_numpy(digits), torch.from_numpy(damages)
        self.shaken = shaken

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, i):
        pixels = self.pixels[i]
        if self.shaken:
            pixels = pixels.roll(tuple(torch.randint(-1, 2, (2,)).tolist()), dims=(1, 2))
        return {"pixels": pixels, "labels": self.digits[i], "damages": self.damages[i]}


class Reader(PreTrainedModel):
    config_class = PretrainedConfig

    def __init__(self, config, pos_weight=None):
        super().__init__(config)
        width = config.width
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.digit_head = nn.Linear(width * 9, 10)
        self.damage_head = nn.Linear(width * 9, 3)
        self.pos_weight = pos_weight
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.05)
            nn.init.zeros_(module.bias)

    def forward(self, pixels, labels, damages):
        x = self.stem(pixels)
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = F.max_pool2d(F.relu(self.norm(self.second(x))), 2).flatten(1)
        x = F.dropout(x, self.config.dropout, training=self.training)
        digit, damage = self.digit_head(x), self.damage_head(x)
        reading = F.cross_entropy(digit, labels)
        flaws = F.binary_cross_entropy_with_logits(damage, damages, pos_weight=self.pos_weight)
        return {"loss": reading + flaws, "digit": digit, "damage": damage}


def compute_metrics(prediction):
    digit, damage = prediction.predictions
    labels, damages = prediction.label_ids
    accuracy = float((digit.argmax(axis=1) == labels).mean())
    flaws = float(f1_score(damages, damage > 0, average="macro", zero_division=0))
    return {"accuracy": accuracy, "flaws": flaws, "both": 0.5 * (accuracy + flaws)}


class Report(TrainerCallback):
    def on_evaluate(self, args, state, control, metrics, **others):
        named = ("eval_loss", "eval_accuracy", "eval_flaws")
        print(
            f"step {state.global_step}", *(f"{name} {metrics[name]:.4f}" for name in named if name in metrics)
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    everything = print_labels(args.seed)
    rows = np.arange(len(everything[1]))
    learn, rest = train_test_split(rows, train_size=0.6, stratify=everything[1], random_state=args.seed)
    check, test = train_test_split(rest, train_size=0.4, random_state=args.seed)
    train_set = Labels(*(part[learn] for part in everything), shaken=True)
    check_set = Labels(*(part[check] for part in everything))
    test_set = Labels(*(part[test] for part in everything))

    n_damaged = train_set.damages.sum(dim=0)
    model = Reader(
        PretrainedConfig(width=16, dropout=0.1), pos_weight=((len(train_set) - n_damaged) / n_damaged).sqrt()
    )
    heads = [parameter for name, parameter in model.named_parameters() if "head" in name]
    trunk = [parameter for name, parameter in model.named_parameters() if "head" not in name]
    optimizer = torch.optim.AdamW(
        [{"params": trunk, "lr": 3e-3}, {"params": heads, "lr": 6e-3}], weight_decay=1e-3
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            num_train_epochs=args.epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=128,
            warmup_steps=30,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_only_model=True,
            logging_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="both",
            greater_is_better=True,
            label_names=["labels", "damages"],
            disable_tqdm=True,
            use_cpu=True,
            seed=args.seed,
        )
        trainer = Trainer(
            model,
            settings,
            train_dataset=train_set,
            eval_dataset=check_set,
            compute_metrics=compute_metrics,
            optimizers=(optimizer, None),
            callbacks=[Report],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        metrics = trainer.predict(test_set).metrics
    print(json.dumps({"score": metrics["test_both"], "accuracy": metrics["test_accuracy"]}))


if __name__ == "__main__":
    main()
