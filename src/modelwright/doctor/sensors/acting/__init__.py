"""What is heard of programs that act in environments."""
