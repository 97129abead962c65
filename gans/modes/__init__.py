"""One file for each --mode of main.py but train."""
