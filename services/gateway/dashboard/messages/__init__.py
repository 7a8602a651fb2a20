"""Pages of messages: sending, searching, one message, the export, conversations."""
