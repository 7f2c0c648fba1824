"""What is heard of a loop that learns: losses, gradients, optimizers, modes, schedules."""
