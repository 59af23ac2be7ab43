"""`bench routing`: what the match index costs, and what reservations do."""
