"""The OAuth2 side of the gateway: tokens, what they are worth, their end, and the documents about all that."""
