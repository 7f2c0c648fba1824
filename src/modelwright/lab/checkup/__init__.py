"""Somebody's own training script under the doctor's watch."""
