"""Trials on copies: what would happen if."""
