"""The parts of a split: rows on both sides, and what prepared each."""
