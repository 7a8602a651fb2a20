"""What more than one service needs: contracts, model, bus, database, security, runtime."""
