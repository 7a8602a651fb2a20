<?php
// Receives SMSFleet's webhooks: checks who sent them and when, does nothing twice, and logs what came.
//
//     WEBHOOK_SECRET=whsec_... php -S 127.0.0.1:8000 receiver.php
//
// Needs nothing but PHP 8.0 or newer.

declare(strict_types=1);

const MAX_SKEW_S = 300;

// What the sender made with this secret.
function signature(string $secret, string $signed): string
{
    $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6)) : $secret;
    return 'v1,' . base64_encode(hash_hmac('sha256', $signed, $key, true));
}

// Whether somebody who knows a secret signed exactly these bytes within the last minutes.
function is_trusted(string $id, string $timestamp, string $given, string $body): bool
{
    if (preg_match('/^[0-9]{1,12}$/D', $timestamp) !== 1 || abs(time() - (int) $timestamp) > MAX_SKEW_S) {
        return false;
    }
    $secrets = preg_split('/\s+/', trim((string) getenv('WEBHOOK_SECRET')));  // two while a new one replaces an old one
    foreach ($secrets as $secret) {
        foreach (explode(' ', $given) as $each) {
            if ($secret !== '' && hash_equals(signature($secret, "$id.$timestamp.$body"), $each)) {
                return true;
            }
        }
    }
    return false;
}

// Whether this id is new. In your program: a row in a table with a unique column.
function is_new(string $id): bool
{
    $mark = @fopen(sys_get_temp_dir() . '/webhook-' . hash('sha256', $id), 'x');
    if ($mark === false) {
        return false;
    }
    return fclose($mark);
}

$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$body = (string) file_get_contents('php://input');
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
} elseif (!is_trusted($id, $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body)) {
    http_response_code(401);
} elseif (!is_new($id)) {
    http_response_code(200);
} else {
    // Keep the work short, or leave it to a queue: the sender waits 15 seconds at most.
    http_response_code(202);
    error_log((string) json_encode(json_decode($body, true), JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES));
}
