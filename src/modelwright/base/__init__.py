"""The nouns that cross rooms. No input or output, no torch, nothing that grows."""
