"""All SQL of the dispatcher, one file a noun; every method is one verb of the domain."""
