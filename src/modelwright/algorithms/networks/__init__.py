"""What networks of a cohort are made of, forward and backward, and the rule that changes their parameters."""
