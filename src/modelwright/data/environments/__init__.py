"""Where experience is made rather than read: environments, stepped for all seeds of a cohort at once."""
