"""Lines of code that send a text and read received ones, with an account's own address and credential. Pure.

They run as they stand once the credential is in them, with nothing but the language itself (Python, PHP 8, Node 18).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

NUMBER: Final = "+15551234567"


class Sample(NamedTuple):
    """The language as it calls itself, and the lines."""

    language: str
    text: str


class Key(NamedTuple):
    """An API key, or what stands for one that is not known any more."""

    api_key: str = "YOUR_API_KEY"


class Client(NamedTuple):
    """An OAuth2 client and its secret, or what stands for one that is not known any more."""

    client_id: str
    client_secret: str = "YOUR_CLIENT_SECRET"  # noqa: S105


def samples(base_url: str, credential: Key | Client, scopes: Sequence[str]) -> list[Sample]:
    """The lines in each language, for what the scopes allow; none where they allow neither sending nor reading."""
    if not {"sms:send", "sms:read"} & set(scopes):
        return []
    return [Sample(name, "\n".join(_lines(parts, base_url, credential, scopes))) for name, parts in _LANGUAGES.items()]


class _Parts(NamedTuple):
    """The pieces of a program; `«name»` stands for a value."""

    start: str
    key: str
    client: str
    call: str
    bearer: str
    grant: str
    send: str
    read: str


def _lines(parts: _Parts, base_url: str, credential: Key | Client, scopes: Sequence[str]) -> Iterator[str]:
    is_key = isinstance(credential, Key)
    chosen = [
        parts.start,
        parts.key if is_key else parts.client,
        parts.call,
        parts.bearer if is_key else parts.grant,
        parts.send if "sms:send" in scopes else "",
        parts.read if "sms:read" in scopes else "",
    ]
    values = {"base_url": base_url, "number": NUMBER, **credential._asdict()}
    for text in filter(None, chosen):
        for name, value in values.items():
            text = text.replace(f"«{name}»", value)
        yield text


_CURL: Final = _Parts(
    start="BASE_URL='«base_url»'",
    key="API_KEY='«api_key»'\n",
    client="CLIENT_ID='«client_id»'\nCLIENT_SECRET='«client_secret»'\n",
    call="",
    bearer="""AUTHORIZATION="Authorization: Bearer $API_KEY\"""",
    grant="""\
TOKEN=$(curl --fail-with-body -sS "$BASE_URL/oauth2/token" -u "$CLIENT_ID:$CLIENT_SECRET" \\
  -d grant_type=client_credentials | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
AUTHORIZATION="Authorization: Bearer $TOKEN\"""",
    send="""\
curl --fail-with-body -sS "$BASE_URL/sendsms/" -H "$AUTHORIZATION" \\
  --data-urlencode 'recipients=«number»' --data-urlencode 'message=Hello'""",
    read="""curl --fail-with-body -sS "$BASE_URL/getsms/?limit=10" -H "$AUTHORIZATION\"""",
)

_PYTHON: Final = _Parts(
    start="""\
import json
import urllib.parse
import urllib.request

BASE_URL = "«base_url»\"""",
    key='API_KEY = "«api_key»"\n\n',
    client='CLIENT_ID = "«client_id»"\nCLIENT_SECRET = "«client_secret»"\n\n',
    call="""\
def call(path, bearer=None, **fields):
    headers = {"Authorization": "Bearer " + bearer} if bearer else {}
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(BASE_URL + path, body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)

""",
    bearer="bearer = API_KEY",
    grant="""\
client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
bearer = call("/oauth2/token", grant_type="client_credentials", **client)["access_token"]""",
    send="""\

sent = call("/sendsms/", bearer, recipients="«number»", message="Hello")["result"]
if sent["error"]:
    raise SystemExit(sent["note"])
print(sent["id"])""",
    read="""\

for text in call("/getsms/", bearer, limit=10)["result"]["sms"]:
    print(text["number"], text["message"])""",
)

_PHP: Final = _Parts(
    start="<?php\n\nconst BASE_URL = '«base_url»';",
    key="const API_KEY = '«api_key»';\n",
    client="const CLIENT_ID = '«client_id»';\nconst CLIENT_SECRET = '«client_secret»';\n",
    call="""\
function call(string $path, array $fields, ?string $bearer = null): array
{
    $headers = ['Content-Type: application/x-www-form-urlencoded'];
    if ($bearer !== null) {
        $headers[] = "Authorization: Bearer $bearer";
    }
    $context = stream_context_create(['http' => [
        'method' => 'POST', 'header' => $headers, 'content' => http_build_query($fields), 'timeout' => 30,
    ]]);
    $answer = file_get_contents(BASE_URL . $path, false, $context);
    if ($answer === false) {
        throw new RuntimeException("$path was refused");
    }
    return json_decode($answer, true, 512, JSON_THROW_ON_ERROR);
}
""",
    bearer="$bearer = API_KEY;",
    grant="""\
$bearer = call('/oauth2/token', [
    'grant_type' => 'client_credentials', 'client_id' => CLIENT_ID, 'client_secret' => CLIENT_SECRET,
])['access_token'];""",
    send="""\

$sent = call('/sendsms/', ['recipients' => '«number»', 'message' => 'Hello'], $bearer)['result'];
if ($sent['error'] !== 0) {
    throw new RuntimeException($sent['note']);
}
echo $sent['id'], PHP_EOL;""",
    read="""\

foreach (call('/getsms/', ['limit' => 10], $bearer)['result']['sms'] as $text) {
    echo $text['number'], ' ', $text['message'], PHP_EOL;
}""",
)

_NODE: Final = _Parts(
    start='const baseUrl = "«base_url»";',
    key='const apiKey = "«api_key»";\n',
    client='const clientId = "«client_id»";\nconst clientSecret = "«client_secret»";\n',
    call="""\
async function call(path, fields, bearer) {
  const answer = await fetch(baseUrl + path, {
    method: "POST",
    headers: bearer ? { Authorization: `Bearer ${bearer}` } : {},
    body: new URLSearchParams(fields),
    signal: AbortSignal.timeout(30_000),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
""",
    bearer="const bearer = apiKey;",
    grant="""\
const client = { client_id: clientId, client_secret: clientSecret };
const token = await call("/oauth2/token", { grant_type: "client_credentials", ...client });
const bearer = token.access_token;""",
    send="""\

const sent = await call("/sendsms/", { recipients: "«number»", message: "Hello" }, bearer);
if (sent.result.error) throw new Error(sent.result.note);
console.log(sent.result.id);""",
    read="""\

const received = await call("/getsms/", { limit: 10 }, bearer);
for (const text of received.result.sms) console.log(text.number, text.message);""",
)

_LANGUAGES: Final = {"curl": _CURL, "Python": _PYTHON, "PHP": _PHP, "Node": _NODE}
