"""The errors that only the gateway's own checks raise; each dialect gives them its wire form."""

from shared.errors import Forbidden, SmsFleetError


class NoDevice(SmsFleetError):
    """The account has no such device."""

    code = "no_device"


class Suspended(Forbidden):
    """The account is suspended."""

    code = "suspended"
