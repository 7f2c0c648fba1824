"""Learning of value distributions: shares of atoms, and quantiles."""
