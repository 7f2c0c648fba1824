"""Drills: a fault is planted in a working program; whoever finds it is checked by what the program does."""
