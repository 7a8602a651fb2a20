"""Phones that run the app SMS Gateway for Android, released as it is: they pull by HTTP and listen to a stream."""
