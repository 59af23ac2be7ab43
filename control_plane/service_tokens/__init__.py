"""Service tokens: how machines come to the API."""
