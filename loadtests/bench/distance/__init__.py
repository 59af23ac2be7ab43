"""`bench distance`: what the way between the sites does to a call, and to agents who wait."""
