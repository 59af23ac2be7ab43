"""Serving without a quorum: a site's own callers with its own agents, and the merge afterwards."""
