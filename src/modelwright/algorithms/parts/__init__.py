"""What learners of every kind share: demands on experience, parts of a cohort, scales, batches, trees."""
