// Receives SMSFleet's webhooks: checks who sent them and when, does nothing twice, and prints what came.
//
//     WEBHOOK_SECRET=whsec_... node receiver.mjs 8000
//
// Needs nothing but Node 18 or newer.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secrets = process.env.WEBHOOK_SECRET.trim().split(/\s+/); // two of them while a new one replaces an old one
const maxSkewS = 300;
const maxBodyBytes = 1_000_000;

const seen = new Set(); // in your program: a table with a unique column, so that it outlives the program

// What the sender made with this secret.
function signature(secret, signed) {
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  return Buffer.from("v1," + createHmac("sha256", key).update(signed).digest("base64"));
}

// Whether somebody who knows a secret signed exactly these bytes within the last minutes.
function isTrusted(headers, body) {
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^[0-9]+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > maxSkewS) return false;
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"] ?? ""}.${timestamp}.`), body]);
  const made = secrets.map((secret) => signature(secret, signed));
  const given = (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each));
  return given.some((one) => made.some((other) => one.length === other.length && timingSafeEqual(one, other)));
}

// The body as it came, or null when it is longer than any webhook.
async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > maxBodyBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// 202 for what is new, 200 for what is known, 401 for what is not trusted.
async function received(request, response) {
  const answer = (status) => response.writeHead(status, { "Content-Length": 0 }).end();
  if (request.method !== "POST") return answer(405);
  const body = await read(request);
  if (body === null) return answer(413);
  if (!isTrusted(request.headers, body)) return answer(401);
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return answer(200);
  seen.add(id);
  answer(202); // first the answer, then the work: the sender waits 15 seconds at most
  console.log(JSON.stringify(JSON.parse(body)));
}

createServer((request, response) => {
  received(request, response).catch(() => response.destroy());
}).listen(Number(process.argv[2]), "127.0.0.1");
