"""What the numbers of single columns show."""
