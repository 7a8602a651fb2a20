"""SMSFleet on one machine: real servers from wheels, services and simulated phones under one supervisor."""
