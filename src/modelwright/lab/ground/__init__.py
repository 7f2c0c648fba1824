"""What a design's learners learn from and are measured on: rows of data, or an environment."""
