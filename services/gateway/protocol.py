"""HTTP as uvicorn serves it, except where bytes are no request: then clients can read the answer, and lose no other."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.gateway.dialects.smsmobile.errors import answer_to_status

_LINE: Final = b"HTTP/1.1 400 Bad Request\r\n"


class HttpProtocol(HttpToolsProtocol):
    """Answers in JSON also where there is nobody to hand a request to."""

    def send_400_response(self, msg: str) -> None:
        """Says what is wrong and hangs up; behind a whole request that is at work, its answer is the last word.

        A client that were told 400 in place of that answer would send a message again that was accepted.
        """
        if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        answer = answer_to_status(400, msg, [(b"connection", b"close")])
        head = b"".join(name + b": " + value + b"\r\n" for name, value in answer.headers)
        self.transport.write(_LINE + head + b"\r\n" + answer.body)
        self.transport.close()
