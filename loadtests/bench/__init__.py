"""What a call costs, and how many a second there may be: `python -m loadtests.bench NAME`."""
