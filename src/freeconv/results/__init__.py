"""What is recorded of every run, and whether it is complete and up to date."""
