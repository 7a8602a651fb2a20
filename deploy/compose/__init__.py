"""What only a set-up of containers needs."""
