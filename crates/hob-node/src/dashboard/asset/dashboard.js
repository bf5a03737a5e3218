// What is nicer with script; every page works without it.
//
// Live parts and lists (server-sent events), times as "3 min ago", tables that sort, boxes that filter,
// forms that answer in place, and the switch of colours. Nothing here makes markup of text: what is put
// into the page as HTML was made and escaped by the node.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const ROWS_MAX = 400;

  // Times.
  const units = [[60, "s"], [60, "min"], [24, "h"], [365, "d"]];
  const ago = (ms) => {
    let value = Math.max(0, Math.round((Date.now() - ms) / 1000));
    if (value < 2) return "now";
    for (const [size, name] of units) {
      if (value < size) return `${value} ${name} ago`;
      value = Math.floor(value / size);
    }
    return `${value} y ago`;
  };
  const tick = (root = document) => {
    for (const time of all("time", root)) {
      const ms = Date.parse(time.dateTime);
      if (Number.isNaN(ms)) continue;
      const exact = new Date(ms);
      if (!time.dataset.said) {
        time.title = exact.toLocaleString();
        time.dataset.said = "yes";
        if ("clock" in time.dataset) {
          const pad = (number, width = 2) => String(number).padStart(width, "0");
          time.textContent = `${pad(exact.getHours())}:${pad(exact.getMinutes())}:${pad(exact.getSeconds())}.${pad(exact.getMilliseconds(), 3)}`;
        }
      }
      if (!("clock" in time.dataset)) {
        const text = ago(ms);
        if (time.textContent !== text) time.textContent = text;
      }
    }
  };

  // Tables that sort.
  const key = (row, at) => {
    const cell = row.cells[at];
    if (!cell) return "";
    const time = $("time", cell);
    const text = cell.dataset.value ?? (time ? String(Date.parse(time.dateTime)) : cell.textContent.trim());
    const number = Number(text.replaceAll(",", "").replace(/ (µs|ms|s)$/, ""));
    if (text === "" || text === "–") return "";
    if (Number.isNaN(number)) return text.toLowerCase();
    if (text.endsWith(" ms")) return number * 1000;
    if (text.endsWith(" s")) return number * 1e6;
    return number;
  };
  const compare = (a, b) =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  const order = (table) => {
    const head = $("th[aria-sort]", table.tHead);
    if (!head) return;
    const at = head.cellIndex;
    const sign = head.getAttribute("aria-sort") === "descending" ? -1 : 1;
    const body = table.tBodies[0];
    [...body.rows].sort((a, b) => sign * compare(key(a, at), key(b, at))).forEach((row) => body.append(row));
  };
  const sorted = new Map();
  const sortable = (root = document) => {
    for (const table of all("table[data-sortable]", root)) {
      const name = table.caption?.textContent ?? "";
      for (const head of all("thead th", table)) {
        if ($("button", head) || head.textContent.trim() === "Do") continue;
        const button = document.createElement("button");
        button.type = "button";
        button.append(...head.childNodes);
        head.append(button);
        button.addEventListener("click", () => {
          const next = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
          all("th[aria-sort]", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
          head.setAttribute("aria-sort", next);
          sorted.set(name, [head.cellIndex, next]);
          order(table);
        });
      }
      const known = sorted.get(name);
      if (known) {
        table.tHead.rows[0].cells[known[0]]?.setAttribute("aria-sort", known[1]);
        order(table);
      }
    }
  };

  // Boxes that filter what is there at once, and what comes.
  const fits = (row, text) => !text || row.textContent.toLowerCase().includes(text);
  const wanted = (body) => ($(`#${body.dataset.filtered}`)?.value ?? "").trim().toLowerCase();
  const filter = () => {
    for (const body of all("tbody[data-filtered]")) {
      const text = wanted(body);
      for (const row of body.rows) row.hidden = !fits(row, text);
    }
  };
  all("tbody[data-filtered]").forEach((body) => $(`#${body.dataset.filtered}`)?.addEventListener("input", filter));
  for (const form of all("form[data-auto]")) {
    form.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
    });
  }

  // Live.
  const prepare = (root) => { tick(root); sortable(root); };
  const busy = (part) =>
    part.contains(document.activeElement) && document.activeElement !== document.body
    || !getSelection().isCollapsed && part.contains(getSelection().anchorNode)
    || $("details[open]", part) !== null;
  const shown = new Map();
  const part = ({ id, html }) => {
    const place = document.getElementById(id);
    if (!place || shown.get(id) === html || busy(place)) return;
    shown.set(id, html);
    place.innerHTML = html;
    prepare(place);
  };
  let fresh = true;
  const rows = ({ rows }) => {
    const body = $("tbody[data-rows]");
    if (!body) return;
    const scroll = $("[data-scroll=end]");
    const atEnd = scroll && scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
    const holder = document.createElement("template");
    holder.innerHTML = rows.join("");
    const made = [...holder.content.children];
    prepare(holder.content);
    const text = body.dataset.filtered ? wanted(body) : "";
    made.forEach((row) => { row.hidden = !fits(row, text); if (!fresh) row.classList.add("fresh"); });
    const up = body.dataset.rows === "prepend";
    const isNews = !fresh || body.rows.length === 0;
    if (fresh) body.replaceChildren();
    if (up) body.prepend(...made.reverse()); else body.append(...made);
    while (body.rows.length > ROWS_MAX) (up ? body.lastElementChild : body.firstElementChild).remove();
    const empty = $("[data-empty]");
    if (empty) empty.hidden = true;
    const news = $("[data-news]");
    if (news && isNews) news.textContent = made.length === 1 ? "One new event" : `${made.length} new events`;
    if (scroll && (atEnd || fresh)) scroll.scrollTop = scroll.scrollHeight;
    fresh = false;
    document.body.dataset.listed = "yes";
  };
  const at = document.body.dataset.at;
  const button = $("[data-live-switch]");
  let source = null;
  let wants = true;
  const open = () => {
    if (source || !wants || document.hidden) return;
    source = new EventSource(`/live?at=${encodeURIComponent(at)}`);
    source.onopen = () => { fresh = true; shown.clear(); button?.removeAttribute("data-lost"); document.body.dataset.live = "yes"; };
    source.onerror = () => { button?.setAttribute("data-lost", ""); delete document.body.dataset.live; };
    source.addEventListener("part", (event) => part(JSON.parse(event.data)));
    source.addEventListener("rows", (event) => rows(JSON.parse(event.data)));
  };
  const close = () => { source?.close(); source = null; delete document.body.dataset.live; };
  if (at) {
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => {
        wants = !wants;
        button.setAttribute("aria-pressed", String(wants));
        if (wants) open(); else close();
      });
    }
    // A browser gives one site six connections: windows that nobody sees need none.
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    addEventListener("pageshow", open);
    open();
  }

  // Forms that answer in place.
  for (const form of all("form[data-inline]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const place = document.getElementById(form.dataset.inline);
      const send = $("button[type=submit]", form);
      send.disabled = true;
      place.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const result = page.getElementById(form.dataset.inline) ?? $(".story", page) ?? $("main", page);
        place.replaceChildren(...(result.id === place.id ? result.childNodes : [result]));
        prepare(place);
      } catch (error) {
        place.textContent = `The node did not answer: ${error.message}`;
      } finally {
        send.disabled = false;
        place.removeAttribute("aria-busy");
      }
    });
  }

  // Colours.
  for (const form of all("form[data-theme-switch]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const theme = event.submitter.value;
      document.documentElement.dataset.theme = theme;
      const data = new URLSearchParams(new FormData(form));
      data.set("theme", theme);
      const other = theme === "dark" ? "light" : "dark";
      all("button", form).forEach((button, index) => { if (index > 0) button.remove(); });
      const rest = $("button", form);
      rest.className = "quiet";
      rest.value = other;
      rest.textContent = other[0].toUpperCase() + other.slice(1);
      rest.focus();
      await fetch(form.action, { method: "POST", body: data, redirect: "manual" });
    });
  }

  const list = $("[data-scroll=end]");
  if (list) list.scrollTop = list.scrollHeight;
  prepare(document);
  filter();
  setInterval(tick, 5000);
})();
