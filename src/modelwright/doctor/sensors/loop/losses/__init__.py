"""What losses are given, and which way they push."""
