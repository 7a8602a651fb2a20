"""Pages of webhooks: endpoints, deliveries, replays."""
