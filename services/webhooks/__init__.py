"""The webhooks service: owns endpoints and deliveries, and brings events to customers' URLs."""
