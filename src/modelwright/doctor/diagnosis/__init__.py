"""From what sensors found to what is likely wrong: pure functions over a table of outcomes by fault."""
