"""Where experience comes from: datasets, splits and their first checks. Knows no model."""
