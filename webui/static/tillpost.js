// The page follows the box: it replaces its parts with what the server would
// draw now. Nothing is known here that the server does not know better.
(() => {
  "use strict";
  const root = document.documentElement, body = document.body;
  const $ = (q, e = document) => e.querySelector(q), $$ = (q, e = document) => [...e.querySelectorAll(q)];
  const keep = (k, v) => { try { if (v !== undefined) localStorage.setItem(k, v); return localStorage.getItem(k); } catch { return null; } };
  const ask = new URLSearchParams(location.search);

  // Light or dark: as the system says, until somebody presses the button.
  const themes = ["auto", "light", "dark"];
  const setTheme = t => {
    if (t === "light" || t === "dark") root.dataset.theme = t; else delete root.dataset.theme;
    $$("[data-theme-button]").forEach(b => { b.hidden = false; b.title = t; });
    return themes.includes(t) ? t : "auto";
  };
  let theme = setTheme(ask.get("theme") || keep("theme") || "auto");
  $$("[data-theme-button]").forEach(b => b.addEventListener("click", () => keep("theme", theme = setTheme(themes[(themes.indexOf(theme) + 1) % 3]))));

  // Language: the server speaks it, so choosing one loads the page anew.
  $$("[data-lang]").forEach(s => s.addEventListener("change", () => { ask.set("lang", s.value); location.search = ask; }));

  // Writing: the server counts, this asks it while somebody types.
  $$("form[data-count]").forEach(f => {
    let soon, asked = 0;
    const text = $("#text", f);
    const count = async () => {
      const n = ++asked, was = document.activeElement;
      const answer = await fetch(f.dataset.count, { method: "POST", body: new URLSearchParams(new FormData(f)), redirect: "error" }).catch(() => null);
      if (!answer || !answer.ok || n !== asked) return; // offline, or something newer is on its way
      const t = document.createElement("template");
      t.innerHTML = await answer.text();
      const now = t.content.firstElementChild;
      $("#arrives", f).replaceWith($("[data-arrives]", now).content.firstElementChild);
      $("#count", f).replaceWith(now);
      if (!was.isConnected) text.focus();
    };
    f.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(count, 150); });
    f.addEventListener("click", e => {
      const b = e.target.closest("button[data-from],button[data-text],button[data-put]");
      if (!b) return;
      e.preventDefault();
      if (b.dataset.put) { text.setRangeText(b.dataset.put, text.selectionStart, text.selectionEnd, "end"); text.focus(); }
      else text.value = b.dataset.text ?? text.value.replaceAll(b.dataset.from, b.dataset.to);
      count();
    });
    $("#at", f)?.addEventListener("input", () => { $("[name=when][value=at]", f).checked = true; });
  });

  $$("[data-print]").forEach(b => { b.hidden = false; b.addEventListener("click", () => print()); });

  const page = body.dataset.live;
  if (!page) return;

  const icon = $("link[rel=icon]");
  new Image().src = icon.dataset.lost; // when it is needed there is nobody to ask for it
  let at = body.dataset.at;      // the box's clock when it was last heard
  let heard = performance.now(); // ours
  let count = 0, lost = false, wait = 1000, socket, held = new Map();

  // What somebody has opened stays open, what they are reading stays where it
  // is: a list under the pointer or with the focus is changed when they leave.
  const busy = e => "calm" in e.dataset && (e.matches(":hover") || e.contains(document.activeElement));
  const put = (name, html) => {
    const old = document.getElementById("live-" + name);
    if (!old) return;
    if (busy(old)) {
      if (!held.has(name)) for (const ev of ["mouseleave", "focusout"]) old.addEventListener(ev, () => setTimeout(settle), { once: true });
      held.set(name, html);
      return;
    }
    held.delete(name);
    const t = document.createElement("template");
    t.innerHTML = html;
    const now = t.content.firstElementChild;
    const values = new Map($$("[data-v]", old).map(e => [e.dataset.v, e.textContent]));
    const open = new Set($$("details[open][data-keep]", old).map(e => e.dataset.keep));
    $$("details[data-keep]", now).forEach(e => { if (open.has(e.dataset.keep)) e.open = true; });
    $$("[data-v]", now).forEach(e => { if (values.has(e.dataset.v) ? values.get(e.dataset.v) !== e.textContent : e.dataset.v.startsWith("feed-") || e.dataset.v.startsWith("s-")) e.classList.add("fresh"); });
    if (document.activeElement && old.contains(document.activeElement)) {
      const i = $$("a,button,summary", old).indexOf(document.activeElement);
      old.replaceWith(now);
      const to = $$("a,button,summary", now)[i];
      if (to) to.focus({ preventScroll: true });
    } else old.replaceWith(now);
  };
  const settle = () => { for (const [name, html] of [...held]) put(name, html); };

  // No word for ten seconds: every colour goes out at once. No green is stale.
  const lose = () => {
    if (lost) return;
    lost = true;
    root.dataset.lamp = "lost";
    icon.href = icon.dataset.lost;
    $(".brand .sign").replaceWith($("#sign-lost").content.cloneNode(true));
    const words = $("#page-lost"), lamp = $("#live-lamp");
    document.title = "? " + words.content.querySelector("h1").textContent + " · Tillpost";
    if (lamp) {
      lamp.className = "lamp lost";
      $(".sign", lamp).replaceWith($("#sign-lost").content.cloneNode(true));
      const say = words.content.cloneNode(true), e = $(".eyebrow", say);
      e.textContent = e.textContent.replace("{at}", at);
      $("[data-look-again]", say).addEventListener("click", dial);
      $("[data-lamp-words]", lamp).replaceChildren(say);
    }
    const strip = $("#live-strip");
    if (strip) { strip.className = "strip lost"; $("p", strip).textContent = words.content.querySelector("h1").textContent + " " + words.content.querySelector(".eyebrow").textContent.replace("{at}", at); }
    $$("[data-box]").forEach(b => { b.disabled = true; });
  };

  const hear = m => {
    heard = performance.now(); at = m.at; wait = 1000;
    if (m.n) { // what the page shows next; it must show what that was made from
      if ((m.from || 0) !== count) { dial(); return; }
      count = m.n;
    }
    if (lost && m.parts) { lost = false; $$("[data-box]").forEach(b => { b.disabled = false; }); }
    if (m.lamp && !lost) { root.dataset.lamp = m.lamp; icon.href = icon.dataset[m.lamp] || icon.dataset.lost; }
    if (m.title && !lost) document.title = m.title;
    for (const name in m.parts || {}) put(name, m.parts[name]);
  };

  let redial;
  function dial() {
    clearTimeout(redial);
    if (socket) { socket.onclose = null; socket.close(); }
    count = 0; held.clear();
    const url = new URL("/live", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ page, lang: root.lang });
    socket = new WebSocket(url);
    socket.onmessage = e => hear(JSON.parse(e.data));
    socket.onclose = e => {
      if (e.code === 1008) { location.reload(); return; } // logged out, or the page is gone
      redial = setTimeout(dial, wait);
      wait = Math.min(wait * 2, 5000);
    };
  }
  setInterval(() => { if (performance.now() - heard > 10000) lose(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && performance.now() - heard > 6000) dial(); });
  dial();
})();
