"""Signing in by a tenant's own OpenID provider."""
