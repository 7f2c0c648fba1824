"""A run executed again from its record, and the answer to how equal it is."""
