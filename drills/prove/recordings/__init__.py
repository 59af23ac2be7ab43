"""Proves recordings: real calls, random kills, every change found, a lost site played."""
