"""An experiment as it happens: on a terminal, in a pipe, or quietly."""
