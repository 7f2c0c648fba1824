"""Gradients, optimizers and schedules: what a step does, and how far it goes."""
