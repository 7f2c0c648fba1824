"""Tables of action values that a program changes itself, without torch: Q-learning, SARSA and their kin."""
