"""What a recording costs: the recorder as it runs, with a relay that we play."""
