"""What memories of transitions hold and give."""
