"""`bench relay`: Kamailio with our KEMI route against the same in its own language."""
