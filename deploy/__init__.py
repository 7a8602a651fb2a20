"""How SMSFleet is run: on one machine (local), in containers and on clusters."""
