"""Proves the routing core: random traffic, random faults, and a checker of the history."""
