"""What models are given of what environments showed."""
