"""A phone that behaves as the open-source app "SMS Gateway for Android" does, for tests, benchmarks and trials."""
