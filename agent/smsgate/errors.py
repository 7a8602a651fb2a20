"""What can go wrong on the way to the server; for the app all of it is the same: try again later."""


class Failure(Exception):
    """It did not work this time."""


class Unauthorized(Failure):
    """The server answered 401."""


class Unreadable(Failure):
    """What the server answered does not parse in the app."""
