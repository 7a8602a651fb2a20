"""The dashboard in a real browser, against the whole running system."""
