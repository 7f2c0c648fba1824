"""Environments whose right values are known, and how agents that learn in them are judged."""
