"""What learners that act are made of: exploration, experience, returns, targets, vital signs."""
