"""Losses of policies: log-probabilities, ratios, entropies, masks."""
