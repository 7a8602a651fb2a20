"""The device side of SMSFleet: keeps a session with the gateway and drives the radios of one phone."""
