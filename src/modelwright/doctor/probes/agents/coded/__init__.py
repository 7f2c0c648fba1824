"""Agents learn from observations that say where they come from, so that rows are known again."""
