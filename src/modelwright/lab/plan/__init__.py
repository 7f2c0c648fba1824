"""What a design needs and costs, said before its first run."""
