"""Pages of phones: the list, one phone, adding one."""
