"""Hugging Face Trainer: a small GPT that continues sequences, with accumulation."""

import hashlib
import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
set_seed(0)
draw = torch.Generator().manual_seed(1)
rows = []
for _ in range(400):
    first, stride, bend = torch.randint(0, 40, (3,), generator=draw).tolist()
    tokens = (first + stride * torch.arange(16) + bend * torch.arange(16) ** 2) % 40
    rows.append({"input_ids": tokens, "labels": tokens})
model = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=16, n_embd=32, n_layer=2, n_head=2))
with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            num_train_epochs=6,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=2,
            learning_rate=3e-3,
            lr_scheduler_type="cosine",
            weight_decay=0.01,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
        ),
        train_dataset=rows[:350],
        eval_dataset=rows[350:],
    )
    trainer.train()
    score = trainer.evaluate()["eval_loss"]
state = b"".join(each.detach().numpy().tobytes() for each in model.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest(), score)
