"""Copies of the record for other tools."""
