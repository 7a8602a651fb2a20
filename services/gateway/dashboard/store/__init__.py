"""What the dashboard reads from Postgres. Every query is scoped by account; a call makes a fixed number of them."""
