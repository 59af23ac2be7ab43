"""The operator's desk: what is asked of a lab that is up, from outside its namespaces."""
