"""Targets beside the rows that they are of."""
