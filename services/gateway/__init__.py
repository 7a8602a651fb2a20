"""The only public HTTP: wire dialects and phone connections. It changes things only by commands, reports and rpc."""
