"""What is heard of rows: those that estimators and networks learn from and are measured on."""
