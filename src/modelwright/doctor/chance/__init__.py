"""Statistics whose error is bounded however often one looks: bets against what was declared."""
