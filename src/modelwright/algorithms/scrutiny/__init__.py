"""Others' code held to ours: the same inputs to both, and what differs first."""
