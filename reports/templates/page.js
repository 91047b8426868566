"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const table = byId("table");
  const rows = [...table.querySelectorAll("tr[data-v]")];
  const bodies = [...table.tBodies];
  const home = new Map(rows.map((r) => [r, r.parentElement]));
  const query = byId("q"), hide = byId("hide"), group = byId("group"), shown = byId("shown");
  const chips = [...document.querySelectorAll("[data-verdict]")];
  const noun = shown.textContent.trim().split(" ").pop().replace(/s$/, "");
  let words = null, sort = null, flat = null;

  // Light and dark: the system's choice until the button says otherwise.
  const stored = () => { try { return localStorage.getItem("backprove-theme"); } catch { return null; } };
  if (stored()) root.dataset.theme = stored();
  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("backprove-theme", root.dataset.theme); } catch { /* a file may have no storage */ }
  });

  // Filter, sort and group the table.
  const text = (row) => {
    words ??= new Map(rows.map((r) => {
      const section = byId(r.cells[0].querySelector("a").getAttribute("href").slice(1));
      const late = section?.querySelector("script")?.textContent.match(/class="statement">([^<]*)/)?.[1];
      const statement = late ?? section?.querySelector(".statement")?.textContent ?? "";
      return [r, `${r.cells[0].querySelector("a").title} ${home.get(r).dataset.module} ${r.dataset.v} ${statement}`.toLowerCase()];
    }));
    return words.get(row);
  };
  const keys = {
    name: (r) => r.cells[0].textContent.trim().toLowerCase(),
    verdict: (r) => +r.dataset.r,
    points: (r) => +r.dataset.p,
    ulp: (r) => +r.dataset.u,
    killed: (r) => (r.dataset.m === undefined ? 2 : +r.dataset.m),
  };
  function filter() {
    const wanted = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.verdict);
    let n = 0;
    for (const r of rows) {
      const v = r.dataset.v;
      const keep = !(hide.checked && v === "holds") && (!verdicts.length || verdicts.includes(v)) &&
        (!wanted.length || wanted.every((w) => text(r).includes(w)));
      r.hidden = !keep;
      n += keep;
    }
    for (const b of table.tBodies) {
      const head = b.querySelector(".group");
      if (head) head.hidden = ![...b.rows].some((r) => r.dataset.v && !r.hidden);
    }
    const more = further(wanted);
    shown.textContent = (n === rows.length ? `${n} ${noun}${n === 1 ? "" : "s"}` : `${n} of ${rows.length} ${noun}s`) +
      (more ? `, ${more} further ${more === 1 ? "entry" : "entries"}` : "");
    byId("nothing").hidden = n > 0;
    byId("others").hidden = !more;
    table.hidden = n === 0;
    if (wanted.length) hit()?.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  // The first hit, from the top of the page: a row of the table, else an entry without a property of its own.
  const hit = () => [...table.querySelectorAll("tr[data-v]")].find((r) => !r.hidden);
  const entries = [...document.querySelectorAll(".entries li")], families = [...document.querySelectorAll(".family")];
  let entryWords = null;
  function further(wanted) {
    if (!wanted.length) {
      for (const e of [...entries, ...families]) e.hidden = false;
      for (const f of families) if (f.dataset.found) { f.open = false; delete f.dataset.found; }
      return 0;
    }
    entryWords ??= new Map(entries.map((e) => {
      const family = e.closest(".family").querySelector("b").textContent, module = e.parentElement.previousElementSibling;
      return [e, `${family} ${module.textContent} ${e.textContent}`.toLowerCase()];
    }));
    let n = 0;
    for (const e of entries) {
      e.hidden = !wanted.every((w) => entryWords.get(e).includes(w));
      n += !e.hidden;
    }
    for (const f of families) {
      const found = f.querySelector(".entries li:not([hidden])");
      f.hidden = !found;
      if (found && !f.open) { f.open = true; f.dataset.found = "1"; }
    }
    return n;
  }
  function arrange() {
    const order = [...rows].sort((a, b) => {
      if (sort) {
        const x = keys[sort.key](a), y = keys[sort.key](b);
        const c = typeof x === "string" ? x.localeCompare(y) : x - y;
        if (c) return sort.down ? -c : c;
      }
      return a.dataset.o - b.dataset.o;
    });
    if (group.checked) {
      flat?.remove();
      bodies.forEach((b) => table.append(b));
      order.forEach((r) => home.get(r).append(r));
    } else {
      flat ??= document.createElement("tbody");
      flat.append(...order);
      bodies.forEach((b) => b.remove());
      table.append(flat);
    }
    filter();
  }
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key, first = key === "points" || key === "ulp";
      sort = sort?.key === key ? { key, down: !sort.down } : { key, down: first };
      for (const th of table.querySelectorAll("[aria-sort]")) th.setAttribute("aria-sort", "none");
      button.parentElement.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      arrange();
    });
  }
  query.addEventListener("input", filter);
  hide.addEventListener("change", filter);
  group.addEventListener("change", arrange);
  query.form.addEventListener("submit", (e) => {
    e.preventDefault();
    const row = hit();
    if (row) row.cells[0].querySelector("a").focus();
    else toEntries();
  });
  function toEntries() {
    const first = document.querySelector(".entries li:not([hidden])");
    if (!first) return;
    first.tabIndex = -1;
    first.focus({ preventScroll: true });
    first.scrollIntoView({ block: "center", behavior: "instant" });
  }
  byId("others").addEventListener("click", toEntries);
  for (const c of chips) c.addEventListener("click", () => {
    c.setAttribute("aria-pressed", c.getAttribute("aria-pressed") === "true" ? "false" : "true");
    filter();
  });
  byId("reset").addEventListener("click", () => {
    query.value = "";
    hide.checked = false;
    chips.forEach((c) => c.setAttribute("aria-pressed", "false"));
    filter();
    query.focus();
  });

  // In a large report the details wait as text until they are opened.
  const unfold = (details) => {
    const late = details.querySelector(":scope > script");
    if (!late) return;
    late.before(document.createRange().createContextualFragment(late.textContent));
    late.remove();
  };

  // Deep links open what they point into.
  function reveal() {
    let target = null;
    try { target = byId(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") { unfold(e); e.open = true; }
    target.scrollIntoView({ block: "start", behavior: "instant" });
    if (target.tagName === "DETAILS") target.querySelector("summary").focus({ preventScroll: true });
  }
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (e) => {
    const a = e.target.closest?.("a[href^='#']");
    if (a && a.getAttribute("href") === location.hash) reveal();
  });
  reveal();

  const all = byId("openall");
  all.addEventListener("click", () => {
    const open = all.getAttribute("aria-pressed") !== "true";
    document.querySelectorAll("details.subject").forEach((d) => { d.open = open; });
    all.setAttribute("aria-pressed", String(open));
    all.textContent = open ? "Close all" : "Open all";
  });

  // What scrolls inside its own box can be reached with the keyboard; what does not is no stop on the way.
  const boxes = ".formula, pre, .tablebox, .graphbox";
  const reachable = (part) => {
    const seen = [...part.querySelectorAll(boxes)].filter((b) => !b.closest("details:not([open])"));
    const overflow = seen.map((b) => b.scrollWidth > b.clientWidth || b.scrollHeight > b.clientHeight + 1);
    seen.forEach((b, i) => { if (overflow[i]) b.tabIndex = 0; else b.removeAttribute("tabindex"); });
  };
  document.addEventListener("toggle", (e) => {
    if (e.target.tagName !== "DETAILS" || !e.target.open) return;
    unfold(e.target);
    reachable(e.target);
  }, true);
  const idle = window.requestIdleCallback ?? ((f) => setTimeout(f, 50));
  idle(() => reachable(document));

  // The rows are laid out as grids (so that rows out of sight cost nothing); for some readers that undoes the table.
  idle(() => {
    table.setAttribute("role", "table");
    const roles = { TBODY: "rowgroup", THEAD: "rowgroup", TR: "row", TD: "cell" };
    table.querySelectorAll("tbody, thead, tr, td, th").forEach((e) => {
      e.setAttribute("role", roles[e.tagName] ?? (e.scope === "col" ? "columnheader" : "rowheader"));
    });
  });

  // Copy buttons.
  document.addEventListener("click", async (e) => {
    const b = e.target.closest?.("[data-copy]");
    if (!b) return;
    const code = b.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    const before = b.firstChild.textContent;
    b.firstChild.textContent = "Copied";
    setTimeout(() => { b.firstChild.textContent = before; }, 1200);
  });

  // In a graph, what a theorem rests on and what rests on it.
  for (const svg of document.querySelectorAll(".graph")) {
    const edges = [...svg.querySelectorAll(".edges path")], nodes = new Map();
    for (const a of svg.querySelectorAll("a")) nodes.set(a.dataset.n, a);
    const mark = (node) => {
      svg.classList.toggle("focus", !!node);
      svg.querySelectorAll(".on").forEach((e) => e.classList.remove("on"));
      if (!node) return;
      for (const [from, to] of [["a", "b"], ["b", "a"]]) {
        const seen = new Set([node.dataset.n]), stack = [node.dataset.n];
        while (stack.length) {
          const n = stack.pop();
          nodes.get(n).classList.add("on");
          for (const e of edges) if (e.dataset[from] === n) {
            e.classList.add("on");
            if (!seen.has(e.dataset[to])) { seen.add(e.dataset[to]); stack.push(e.dataset[to]); }
          }
        }
      }
    };
    for (const a of nodes.values()) {
      a.addEventListener("pointerenter", () => mark(a));
      a.addEventListener("pointerleave", () => mark(null));
      a.addEventListener("focus", () => mark(a));
      a.addEventListener("blur", () => mark(null));
    }
  }

  // Keys.
  const step = (by) => {
    const links = rows.filter((r) => !r.hidden).sort((a, b) => (a.compareDocumentPosition(b) & 4 ? -1 : 1)).map((r) => r.cells[0].querySelector("a"));
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  };
  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.target === query && e.key === "Escape") { query.value = ""; filter(); query.blur(); return; }
    if (e.target.closest?.("input:not([type=checkbox]), textarea, dialog")) return;
    const act = {
      f: () => query.focus(), "/": () => query.focus(), h: () => hide.click(), g: () => group.click(), o: () => all.click(),
      j: () => step(1), k: () => step(-1), "?": () => byId("keys").showModal(),
    }[e.key];
    if (act) { e.preventDefault(); act(); }
  });
})();
