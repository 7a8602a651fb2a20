// What the pages gain where there is a script: live parts, copy buttons, a live count of parts. Everything works without it.
"use strict";

// Parts marked data-live="messages phones" are read again when one of these kinds changed.
// The server's events say so; without a stream a slow clock does, and more slowly with one: an event may be lost.
const live = (() => {
  const SLOW_MS = 15_000;
  const SLOWER = 4;
  const AGAIN_MS = 10_000;
  const POLL_MS = 3_000;
  const PATIENCE_MS = 20_000;
  const GONE = new Set([401, 403, 404]);
  const followed = new WeakSet();
  let reading = false;
  let open = false;
  let ticks = 0;
  let timer = 0;
  let wanted = new Set();

  const parts = () => [...document.querySelectorAll("[data-live][id]")];
  const concerns = (part, kinds) => part.dataset.live.split(" ").some((kind) => kinds.has(kind));
  const isWanted = () => parts().some((part) => concerns(part, wanted));

  // What was typed and not sent, and what is shown only once, does not make way for a page that says "sign in".
  const isPrecious = () =>
    document.querySelector(".secret") !== null ||
    [...document.querySelectorAll("textarea")].some((field) => field.value) ||
    [...document.querySelectorAll("input")].some((field) => field.value !== field.defaultValue);

  async function refresh() {
    if (reading || document.hidden) return;
    reading = true;
    const kinds = wanted;
    let pause = 1_000;
    wanted = new Set();
    try {
      // The answer to a form cannot be asked for again; its part names the page that can.
      const source = document.querySelector("[data-live-from]")?.dataset.liveFrom ?? location.href;
      const patience = AbortSignal.timeout(PATIENCE_MS);
      const answer = await fetch(source, { headers: { Accept: "text/html" }, signal: patience });
      if (answer.redirected || GONE.has(answer.status)) {
        if (!isPrecious()) location.assign(source);
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts()) {
        const fresh = page.getElementById(part.id);
        if (fresh && concerns(part, kinds)) renewPart(part, fresh);
      }
      enhance(document);
    } catch {
      // The network or a part of the system is away.
      kinds.forEach((kind) => wanted.add(kind));
      pause = AGAIN_MS;
    } finally {
      reading = false;
      clearTimeout(timer);
      if (isWanted()) timer = setTimeout(refresh, pause);
    }
  }

  function renewPart(part, fresh) {
    const focused = document.activeElement;
    const atEnd = part.scrollHeight - part.scrollTop - part.clientHeight < 40;
    renew(part, fresh);
    // What moves to another place loses the focus.
    if (focused !== document.activeElement && part.contains(focused)) focused.focus({ preventScroll: true });
    if ("follow" in part.dataset && atEnd) part.scrollTop = part.scrollHeight;
  }

  // Makes an element what it is on the fresh page and touches nothing else: focus, selection and scrolling stay, what
  // was opened stays open, and a copy button stays there.
  function renew(here, fresh) {
    if (here.isEqualNode(fresh)) return;
    if (here.nodeType !== Node.ELEMENT_NODE) {
      here.nodeValue = fresh.nodeValue;
      return;
    }
    const ours = here.nodeName === "DETAILS" ? "open" : "copy" in here.dataset ? "hidden" : "";
    for (const name of here.getAttributeNames()) {
      if (!fresh.hasAttribute(name) && name !== ours) here.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (here.getAttribute(name) !== value && name !== ours) here.setAttribute(name, value);
    }
    renewChildren(here, fresh);
  }

  // A child with a key is the one with the same key, any other the next one of its kind. A key is what a button does,
  // too: no "yes" becomes another question's under somebody's hand.
  const key = (node) => node.id || node.dataset?.row || node.dataset?.key || "";
  const called = (node) => `${node.nodeName} ${key(node)}`;

  function renewChildren(here, fresh) {
    const staying = new Set([...fresh.children].map(called));
    for (const child of [...here.children]) if (key(child) && !staying.has(called(child))) child.remove();
    const known = new Map([...here.children].filter(key).map((child) => [called(child), child]));
    const isKnown = known.size > 0;
    let place = here.firstChild;
    for (const child of fresh.childNodes) {
      const next = place && called(place) === called(child) ? place : undefined;
      const match = key(child) ? known.get(called(child)) : next;
      known.delete(called(child));
      if (match === undefined) {
        const made = document.importNode(child, true);
        if (isKnown && made.dataset?.row) made.classList.add("fresh");
        here.insertBefore(made, place);
        continue;
      }
      while (place && place !== match && !key(place)) {
        const stale = place;
        place = place.nextSibling;
        stale.remove();
      }
      if (place === match) place = match.nextSibling;
      else here.insertBefore(match, place);
      renew(match, child);
    }
    while (place) {
      const stale = place;
      place = place.nextSibling;
      stale.remove();
    }
  }

  function changed(kinds) {
    kinds.forEach((kind) => wanted.add(kind));
    if (isWanted()) refresh();
  }

  // Parts marked data-poll have no events of their own and are read again every few seconds.
  const polled = () => changed(parts().flatMap((part) => ("poll" in part.dataset ? part.dataset.live.split(" ") : [])));

  const everything = () => changed(parts().flatMap((part) => part.dataset.live.split(" ")));

  function tick() {
    ticks += 1;
    if (!open || ticks % SLOWER === 0) everything();
  }

  function listen(url) {
    let stream;
    const connect = () => {
      // A browser has six connections to a host at most: pages that nobody sees need none.
      if (document.hidden || (stream && stream.readyState !== EventSource.CLOSED)) return;
      stream = new EventSource(url);
      stream.addEventListener("open", () => {
        if (!open) everything();
        open = true;
        document.documentElement.dataset.stream = "open";
      });
      stream.addEventListener("changed", (event) => changed(event.data.split(" ")));
      stream.addEventListener("error", () => {
        lost();
        if (stream.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS);
      });
    };
    const lost = () => {
      open = false;
      document.documentElement.dataset.stream = "closed";
    };
    const leave = () => {
      stream?.close();
      lost();
    };
    setInterval(tick, SLOW_MS);
    setInterval(polled, POLL_MS);
    document.addEventListener("visibilitychange", () => (document.hidden ? leave() : connect()));
    addEventListener("pagehide", leave);
    connect();
  }

  function follow(part) {
    if (followed.has(part)) return;
    followed.add(part);
    part.scrollTop = part.scrollHeight;
  }

  return { listen, everything, follow, has: () => parts().length > 0 };
})();

function enhance(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
  root.querySelectorAll("[data-follow]").forEach(live.follow);
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Without https there is no clipboard to write to; the old command still works.
    const field = document.createElement("textarea");
    field.value = button.dataset.copy;
    field.className = "hidden";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus({ preventScroll: true });
  }
  // Colour for those who see it, a word for those who hear the page.
  const spoken = document.getElementById("spoken");
  button.classList.add("primary");
  spoken.textContent = button.dataset.done;
  setTimeout(() => {
    button.classList.remove("primary");
    spoken.textContent = "";
  }, 1_200);
}

// <textarea data-count="/dashboard/send/shape">: what the server says of the text goes into the element that
// aria-describedby names. The server counts, so that the page says what will be sent.
function counting(field) {
  let timer = 0;
  let last = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const turn = ++last;
      const form = new URLSearchParams({ csrf: field.form.elements.csrf.value, text: field.value });
      const wish = { method: "POST", body: form, signal: AbortSignal.timeout(5_000) };
      const answer = await fetch(field.dataset.count, wish).catch(() => null);
      if (!answer?.ok || turn !== last) return;
      const told = await answer.json();
      for (const [id, text] of Object.entries(told)) {
        const place = document.getElementById(id);
        if (place) place.textContent = text;
      }
    }, 150);
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
  const menu = document.querySelector("details.menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent !== undefined) event.preventDefault();
  form.dataset.sent = "";
  setTimeout(() => delete form.dataset.sent, 15_000);
});

enhance(document);
document.querySelectorAll("textarea[data-count]").forEach(counting);
if (document.body.dataset.liveUrl && live.has()) live.listen(document.body.dataset.liveUrl);
document.addEventListener("visibilitychange", () => document.hidden || live.everything());
// A page that the browser had put by may be of somebody who has signed out since.
addEventListener("pageshow", (event) => event.persisted && location.reload());
