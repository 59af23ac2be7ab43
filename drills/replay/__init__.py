"""A recorded day, run again under other rules."""
