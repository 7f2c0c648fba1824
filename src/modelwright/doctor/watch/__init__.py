"""Hears what a training program does, without a change to it."""
