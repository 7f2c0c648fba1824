"""What is looked at while a program runs; one file for each thing that can be out of order."""
