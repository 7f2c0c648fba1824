"""Learning of values, held to what environments gave."""
