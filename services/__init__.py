"""The processes of SMSFleet: four services that meet only in NATS and Postgres, and `smsfleet`."""
