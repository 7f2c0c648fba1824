"""What is on record, listed, shown and compared."""
