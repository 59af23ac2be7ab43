"""The demo: a busy minute of a call center over three sites, one of which is killed half-way."""
