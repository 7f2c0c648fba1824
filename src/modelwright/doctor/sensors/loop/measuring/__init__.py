"""How a program measures what it learnt, and which state it keeps."""
