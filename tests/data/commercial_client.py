"""A customer's program: sends an SMS and reads the received ones with the released client, as its manual says."""

import json
import sys

from smsmobileapi import SMSSender  # type: ignore[import-untyped]

sender = SMSSender(api_key=sys.argv[1])
sent = sender.send_message(to=sys.argv[2], message=sys.argv[3])
received = sender.get_received_messages()
print(json.dumps({"sent": sent, "received": received}))
