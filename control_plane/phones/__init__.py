"""Agents' phones: who may register, and who no longer."""
