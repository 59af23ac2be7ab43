"""`bench registrations`: very many telephones that sign in at once, while calls come in."""
