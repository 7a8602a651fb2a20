// What the pages gain where there is a script: live parts, copy buttons, a live count of parts. Everything works without it.
"use strict";

// Parts marked data-live="messages phones" are read again when one of these kinds changed.
// The server's events say so; without a stream a slow clock does.
const live = (() => {
  const SLOW_MS = 15_000;
  const AGAIN_MS = 10_000;
  const POLL_MS = 3_000;
  let reading = false;
  let wanted = new Set();

  const parts = () => [...document.querySelectorAll("[data-live][id]")];
  const concerns = (part, kinds) => part.dataset.live.split(" ").some((kind) => kinds.has(kind));
  const inUse = (part) =>
    part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

  async function refresh() {
    if (reading || document.hidden) return;
    reading = true;
    try {
      const kinds = wanted;
      wanted = new Set();
      // The answer to a form cannot be asked for again; its part names the page that can.
      const source = document.querySelector("[data-live-from]")?.dataset.liveFrom ?? location.href;
      const answer = await fetch(source, { headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 401) return location.assign(source);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts()) {
        const fresh = page.getElementById(part.id);
        if (!fresh || !concerns(part, kinds) || inUse(part) || fresh.isEqualNode(part)) continue;
        replace(part, fresh);
      }
      enhance(document);
    } catch {
      // The network is away; the next event or tick tries again.
    } finally {
      reading = false;
      if (wanted.size) setTimeout(refresh, 1_000);
    }
  }

  // Rows that were not there before are shown as fresh; what was opened stays open, and focus stays where it was.
  function replace(part, fresh) {
    const known = new Set([...part.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
    const open = [...part.querySelectorAll("details[open][id]")].map((each) => each.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const atEnd = part.scrollHeight - part.scrollTop - part.clientHeight < 40;
    const node = document.importNode(fresh, true);
    for (const row of node.querySelectorAll("[data-row]")) {
      if (known.size && !known.has(row.dataset.row)) row.classList.add("fresh");
    }
    part.replaceWith(node);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if (node.dataset.follow !== undefined && atEnd) node.scrollTop = node.scrollHeight;
  }

  function changed(kinds) {
    kinds.forEach((kind) => wanted.add(kind));
    if (parts().some((part) => concerns(part, wanted))) refresh();
  }

  // Parts marked data-poll have no events of their own and are read again every few seconds.
  const polled = () => changed(parts().flatMap((part) => ("poll" in part.dataset ? part.dataset.live.split(" ") : [])));

  const everything = () => changed(parts().flatMap((part) => part.dataset.live.split(" ")));

  function listen(url) {
    const stream = new EventSource(url);
    let open = false;
    const slow = setInterval(() => open || everything(), SLOW_MS);
    const poll = setInterval(polled, POLL_MS);
    stream.addEventListener("open", () => {
      if (!open) everything();
      open = true;
      document.documentElement.dataset.stream = "open";
    });
    stream.addEventListener("changed", (event) => changed(event.data.split(" ")));
    stream.addEventListener("error", () => {
      open = false;
      document.documentElement.dataset.stream = "closed";
      if (stream.readyState !== EventSource.CLOSED) return;
      clearInterval(slow);
      clearInterval(poll);
      setTimeout(() => listen(url), AGAIN_MS);
    });
    addEventListener("pagehide", () => stream.close(), { once: true });
  }

  return { listen, everything, has: () => parts().length > 0 };
})();

function enhance(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
  for (const part of root.querySelectorAll("[data-follow]:not([data-followed])")) {
    part.dataset.followed = "";
    part.scrollTop = part.scrollHeight;
  }
}

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https there is no clipboard to write to; the old command still works.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "hidden";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.dataset.copied = "";
  button.classList.add("primary");
  setTimeout(() => button.classList.remove("primary"), 1_200);
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
      const answer = await fetch(field.dataset.count, { method: "POST", body: form }).catch(() => null);
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
  setTimeout(() => delete form.dataset.sent, 5_000);
});

enhance(document);
document.querySelectorAll("textarea[data-count]").forEach(counting);
if (document.body.dataset.liveUrl && live.has()) live.listen(document.body.dataset.liveUrl);
document.addEventListener("visibilitychange", () => document.hidden || live.everything());
