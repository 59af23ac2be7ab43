"""Drills in a lab of their own, with synthetic callers: carried out, measured, kept."""
