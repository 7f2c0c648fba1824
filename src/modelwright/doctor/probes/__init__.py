"""Active probes: small trials on copies of a model, a loss, data or an agent that a factory makes."""
