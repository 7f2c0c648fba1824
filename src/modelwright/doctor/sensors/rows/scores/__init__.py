"""What metrics are given, and what follows from what they say."""
