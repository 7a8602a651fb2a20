"""Pure facts of the domain: ids, numbers, texts and their parts. No I/O, no clock."""
