"""Request/reply structs, one pair per subject in registry.py; a file for each owner of the rows they are about."""
