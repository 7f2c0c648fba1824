"""From a question to a verdict: pure functions over arrays. Starts, reads and writes nothing."""
