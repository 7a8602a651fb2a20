"""The dispatcher: owns messages from acceptance to rest, the phones that send them, and what phones receive."""
