"""What pandas was asked to do to tables and columns, held against what is learnt and measured."""
