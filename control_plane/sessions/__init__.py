"""Sessions, as more than one feature has to end them."""
