"""`bench bridged`: calls that reach an agent, through the whole of a site."""
