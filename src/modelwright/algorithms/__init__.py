"""One readable file an algorithm. Nothing here logs, saves, plots, parses or owns a loop above the update."""
