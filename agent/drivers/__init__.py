"""What the agent can send with: one module for each kind of radio."""
