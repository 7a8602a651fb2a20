"""SMSFleet on one machine: real servers from wheels, the services and simulated phones under one supervisor."""
