"""Advantages and returns, held to what environments gave."""
