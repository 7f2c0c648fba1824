"""Hugging Face Trainer: a small BERT without pretraining that classifies made sentences."""

import hashlib
import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


class Sentences(Dataset):
    """Class 1 where token 7 occurs."""

    def __init__(self, count, seed):
        draw = np.random.default_rng(seed)
        self.tokens = draw.integers(8, 60, (count, 12))
        self.labels = draw.integers(0, 2, count)
        for row in np.flatnonzero(self.labels):
            self.tokens[row, draw.integers(0, 12, 4)] = 7

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, at):
        tokens = torch.tensor(self.tokens[at])
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "labels": int(self.labels[at]),
        }


set_seed(0)
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        num_labels=2,
    )
)
with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            num_train_epochs=5,
            per_device_train_batch_size=16,
            learning_rate=1e-3,
            warmup_steps=10,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
        ),
        train_dataset=Sentences(480, 0),
        eval_dataset=Sentences(120, 1),
        compute_metrics=lambda told: {
            "accuracy": float((told.predictions.argmax(1) == told.label_ids).mean())
        },
    )
    trainer.train()
    score = trainer.evaluate()["eval_accuracy"]
state = b"".join(each.detach().numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), score)
