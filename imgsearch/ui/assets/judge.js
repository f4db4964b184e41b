// The judging view: a query on the left, one candidate on the right, a key for each verdict. It calls
// POST /api/v1/judging itself, so that no verdict waits for a page to be drawn. Every act stays in the browser's storage
// until the server has handled it: it survives reloads and network failures, and is sent again with the same id, which
// the server counts once.

const THUMB = "M7 11v9H4v-9zM7 11l4.2-7.4c1.7.1 2.6 1.3 2.2 2.9L12.6 10h5.2a2 2 0 0 1 2 2.4l-1.3 6a2 2 0 0 1-2 1.6H7";
const ICONS = {
  good: THUMB,
  bad: THUMB,
  cant_tell: "M9.2 9.2a2.9 2.9 0 1 1 4 2.7c-.8.4-1.2 1-1.2 1.9M12 17v.2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0",
  undo: "M9 7 4.5 11.5 9 16M4.5 11.5H14a5 5 0 0 1 0 10h-2",
  skip: "M5 6l8 6-8 6zM18 6v12",
  back: "M19 12H5M11 6l-6 6 6 6",
  guide: "M12 6c-2-1.5-5-2-8-2v14c3 0 6 .5 8 2 2-1.5 5-2 8-2V4c-3 0-6 .5-8 2zM12 6v14",
  grid: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  single: "M4 5h6v14H4zM13 5h7v14h-7z",
  missing: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M4 4l16 16",
  done: "M5 12.5l4.5 4.5L19 7.5",
};
const WORDS = { good: "Good", bad: "Bad", cant_tell: "Can't tell", undo: "Undo", skip: "Skip" };
const HINTS = { good: "G", bad: "B", cant_tell: "T", undo: "U", skip: "S" };
const KEYS = {
  g: "good", 1: "good", ArrowRight: "good",
  b: "bad", 2: "bad", ArrowLeft: "bad",
  t: "cant_tell", 3: "cant_tell", ArrowDown: "cant_tell",
  u: "undo", Backspace: "undo", ArrowUp: "undo",
  s: "skip",
};
const VERDICTS = ["good", "bad", "cant_tell"];
const TIMEOUT_MS = 15000;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 15000;
const POLL_MS = 4000;
const RENEW_MS = 60000;
const SENT_AT_ONCE = 200;
const PRELOADED = 6;
const MIN_HEIGHT_PX = 470;

const icon = (name) => svgIcon(ICONS[name], name === "bad");

// crypto.randomUUID is missing where a page comes over plain HTTP from another machine.
function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- storage ---------------------------------------------------------------------------------------------------

// Acts that the server has not answered, each under its own key, so that two tabs do not overwrite each other.
class Waiting {
  constructor(set, labeler) {
    this.prefix = `imgsearch judging ${JSON.stringify([set, labeler])} `;
    this.acts = new Map();
    for (const key of this.keys()) {
      try {
        const act = JSON.parse(localStorage.getItem(key));
        if (act && act.id) this.acts.set(act.id, act);
      } catch {
        // Not an act of ours, or incomplete: nothing to send.
      }
    }
    this.acts = new Map([...this.acts].sort(([, one], [, other]) => one.order - other.order));
  }

  keys() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
    } catch {
      return [];
    }
  }

  add(act) {
    this.count = (this.count || 0) + 1;
    const kept = { id: randomName(), order: Date.now() * 1000 + (this.count % 1000), ...act };
    this.acts.set(kept.id, kept);
    try {
      localStorage.setItem(this.prefix + kept.id, JSON.stringify(kept));
    } catch {
      // Storage is full or forbidden: the act is kept in this page only.
    }
  }

  remove(id) {
    this.acts.delete(id);
    try {
      localStorage.removeItem(this.prefix + id);
    } catch {
      // As above.
    }
  }

  // The latest unanswered act of each pair.
  byPair() {
    return new Map([...this.acts.values()].map((act) => [act.pair, act.act]));
  }
}

function clientName() {
  const key = "imgsearch judging client";
  let name = null;
  try {
    name = sessionStorage.getItem(key);
    if (!name) sessionStorage.setItem(key, (name = randomName()));
  } catch {
    // No storage: a new name for each load; the pairs of the old one are released after some minutes.
  }
  return name || randomName();
}

function remembered(key, value) {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

// --- the view --------------------------------------------------------------------------------------------------

class Judge {
  constructor(root) {
    this.root = root;
    this.client = clientName();
    this.stop = new AbortController();
    this.layout = remembered("imgsearch judging layout") === "grid" ? "grid" : "pair";
    this.build();
    this.listen();
  }

  // At every redraw of the page; a new set, labeler or role starts over.
  update(data, setTriggerValue) {
    this.leave = () => setTriggerValue("leave", true);
    const now = JSON.stringify([data.set, data.labeler, data.role]);
    const guideline = JSON.stringify(data.guideline);
    const newGuideline = this.guidelineNow !== guideline;
    this.data = data;
    this.guidelineNow = guideline;
    if (newGuideline) this.parts.guideText.textContent = data.guideline.text;
    if (this.now === now) return;
    this.now = now;
    this.waiting = new Waiting(data.set, data.labeler);
    this.queue = [];
    this.queries = {};
    this.history = [];
    this.images = new Map();
    this.batch = null;
    this.progress = { wanted: 0, judged: 0, mine: 0, per_hour: null };
    this.state = "loading";
    this.knowsHistory = false;
    this.delay = RETRY_MS;
    this.shown = null;
    this.queryShown = null;
    this.parts.title.textContent = data.set;
    this.parts.labeler.textContent = data.role === "referee" ? `${data.labeler}, referee` : data.labeler;
    this.draw();
    this.sync();
    const read = `imgsearch judging guideline ${JSON.stringify([data.set, data.labeler])}`;
    if (remembered(read) !== String(data.guideline.version)) {
      remembered(read, String(data.guideline.version));
      this.parts.guide.showModal();
    }
  }

  build() {
    const p = (this.parts = {});
    const act = (name) => {
      const button = element(
        "button",
        { type: "button", class: `act ${name}`, "data-act": name, "aria-keyshortcuts": HINTS[name] },
        icon(name),
        element("span", {}, WORDS[name]),
        element("kbd", {}, HINTS[name]),
      );
      button.onclick = () => this.act(name);
      return button;
    };
    p.back = element("button", { type: "button", class: "icon", title: "All judging sets", "aria-label": "All judging sets" }, icon("back"));
    p.back.onclick = () => this.leave();
    p.title = element("h1", {});
    p.labeler = element("span", { class: "labeler" });
    p.fill = element("i");
    p.bar = element("div", { class: "bar", role: "progressbar", "aria-label": "Judged", "aria-valuemin": "0" }, p.fill);
    p.count = element("span", { class: "figures", role: "status" });
    p.layout = element("button", { type: "button", class: "plain" });
    p.layout.onclick = () => this.setLayout(this.layout === "grid" ? "pair" : "grid");
    p.help = element("button", { type: "button", class: "plain", title: "Guideline (H)" }, icon("guide"), element("span", {}, "Guideline"));
    p.help.onclick = () => p.guide.showModal();
    const head = element(
      "header",
      {},
      p.back,
      element("div", { class: "names" }, p.title, p.labeler),
      element("div", { class: "progress" }, p.bar, p.count),
      element("div", { class: "tools" }, p.layout, p.help),
    );
    p.queryParts = element("div", { class: "query-parts" });
    p.query = element("section", { class: "panel query", "aria-label": "Query" }, element("h2", {}, "Query"), p.queryParts);
    p.stage = element("div", { class: "stage" });
    p.caption = element("p", { class: "caption" });
    p.candidate = element(
      "section",
      { class: "panel candidate", "aria-label": "Candidate" },
      element("h2", {}, "Is this a good result?"),
      p.stage,
      p.caption,
    );
    p.grid = element("ul", { class: "grid" });
    p.gridPanel = element(
      "section",
      { class: "panel tiles", "aria-label": "Candidates" },
      element("h2", {}, "Mark the bad results; all others are good"),
      p.grid,
    );
    p.note = element("p", { class: "note", role: "status" });
    p.last = element("span", { class: "last" });
    p.acts = element(
      "div",
      { class: "acts", role: "group", "aria-label": "Verdict" },
      act("undo"), act("bad"), act("cant_tell"), act("good"), act("skip"),
    );
    p.save = element("button", { type: "button", class: "act good save" });
    p.save.onclick = () => this.review();
    p.gridUndo = act("undo");
    p.gridActs = element("div", { class: "acts", role: "group", "aria-label": "All results" }, p.gridUndo, p.save);
    p.message = element("div", { class: "message" });
    p.body = element("div", { class: "body" }, p.query, p.candidate, p.gridPanel, p.message);

    p.guideText = element("div", { class: "text" });
    const close = element("button", { type: "button", class: "primary", autofocus: true }, "Start judging");
    close.onclick = () => p.guide.close();
    p.guide = element(
      "dialog",
      { "aria-label": "Guideline" },
      element("h2", {}, "Guideline"),
      p.guideText,
      element("p", { class: "keys" }, "Keys: G or → good, B or ← bad, T or ↓ can't tell, U or Backspace undo, S skip, H this page."),
      element("div", { class: "row" }, close),
    );
    p.confirmText = element("p", {});
    const yes = element("button", { type: "button", class: "primary yes", autofocus: true }, "Save");
    const no = element("button", { type: "button", class: "plain no" }, "Review again");
    yes.onclick = () => this.saveBatch();
    no.onclick = () => p.confirm.close();
    p.confirm = element(
      "dialog",
      { "aria-label": "Save these judgments?" },
      element("h2", {}, "Save these judgments?"),
      p.confirmText,
      element("div", { class: "row" }, no, yes),
    );
    p.frame = element(
      "div",
      { class: "frame" },
      head, p.body, p.note, p.acts, p.gridActs, p.guide, p.confirm,
    );
    this.root.append(p.frame);
  }

  listen() {
    const { signal } = this.stop;
    document.addEventListener("keydown", (event) => this.key(event), { signal });
    addEventListener("online", () => this.sync(), { signal });
    addEventListener("resize", () => this.fit(), { signal });
    this.renewal = setInterval(() => document.hidden || this.sync(), RENEW_MS);
  }

  end() {
    this.stop.abort();
    clearInterval(this.renewal);
    clearTimeout(this.timer);
  }

  // --- keys ----------------------------------------------------------------------------------------------------

  key(event) {
    const typing = event.composedPath()[0]?.matches?.("input, textarea, select, [contenteditable=true]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (this.parts.guide.open || this.parts.confirm.open) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (name === "h" || name === "?") {
      event.preventDefault();
      this.parts.guide.showModal();
      return;
    }
    if (this.layout === "grid" && this.batch && this.gridKey(event, name)) {
      event.preventDefault();
      return;
    }
    const act = KEYS[name];
    if (!act || (this.layout === "grid" && this.batch && act !== "undo")) return;
    event.preventDefault();
    if (!event.repeat) this.act(act); // holding a key gives one verdict
  }

  gridKey(event, name) {
    if (name === "Enter" && !event.target.closest?.("button.tile")) {
      this.review();
      return true;
    }
    const tiles = [...this.parts.grid.querySelectorAll("button.tile")];
    const at = tiles.indexOf(event.composedPath()[0]);
    const top = tiles[0]?.getBoundingClientRect().top;
    const columns = Math.max(1, tiles.filter((tile) => tile.getBoundingClientRect().top === top).length);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[name];
    if (step !== undefined) {
      const next = tiles[at < 0 ? 0 : at + step];
      next?.focus();
      return true;
    }
    if (at >= 0 && (name === "b" || name === "t" || name === "g")) {
      this.mark(at, { b: "bad", t: "cant_tell", g: "good" }[name]);
      return true;
    }
    if (name === "Enter" && !event.repeat) {
      this.review();
      return true;
    }
    return false;
  }

  // --- acting --------------------------------------------------------------------------------------------------

  act(name) {
    if (name === "undo") {
      this.undo();
      return;
    }
    const pair = this.queue[0];
    if (this.layout !== "pair" || !pair || this.state !== "judging") return;
    if (VERDICTS.includes(name) && !this.canSee) return; // a photo is judged only after it is shown
    this.waiting.add({ pair: pair.pair, act: name, took_ms: Math.round(performance.now() - this.shownAt) });
    this.history.push({ ...pair, act: name });
    this.queue.shift();
    this.say("");
    this.draw();
    this.sync();
  }

  undo() {
    const last = this.history.at(-1);
    if (!last) {
      this.say("There is nothing to undo.");
      return;
    }
    const undone = [];
    do undone.unshift(this.history.pop());
    while (last.batch && this.history.at(-1)?.batch === last.batch);
    for (const { act, batch, ...pair } of [...undone].reverse()) {
      this.waiting.add({ pair: pair.pair, act: "undo" });
      this.queue = [pair, ...this.queue.filter((other) => other.pair !== pair.pair)];
    }
    this.batch = null;
    this.state = "judging";
    this.say(undone.length > 1 ? `${undone.length} judgments undone.` : `Undone: ${WORDS[last.act]}.`);
    this.draw();
    this.sync();
  }

  mark(place, verdict) {
    const pair = this.batch.pairs[place];
    const { marks } = this.batch;
    if (verdict === "good" || marks.get(pair.pair) === verdict) marks.delete(pair.pair);
    else marks.set(pair.pair, verdict);
    this.drawMarks();
  }

  review() {
    if (!this.batch || this.parts.confirm.open) return;
    const counts = this.counts();
    this.parts.confirmText.textContent = `${counts.bad} bad, ${counts.cant_tell ? `${counts.cant_tell} can't tell, ` : ""}${counts.good} good.`;
    this.parts.confirm.showModal();
  }

  saveBatch() {
    const { pairs, marks, shownAt } = this.batch;
    const name = randomName();
    const took = Math.round((performance.now() - shownAt) / pairs.length);
    for (const pair of pairs) {
      const verdict = marks.get(pair.pair) || "good";
      this.waiting.add({ pair: pair.pair, act: verdict, took_ms: took });
      this.history.push({ ...pair, act: verdict, batch: name });
    }
    const done = new Set(pairs.map((pair) => pair.pair));
    this.queue = this.queue.filter((pair) => !done.has(pair.pair));
    this.batch = null;
    this.parts.confirm.close();
    this.say("");
    if (this.queue.length === 0) this.state = "loading";
    this.draw();
    this.sync();
  }

  counts() {
    const marks = [...this.batch.marks.values()];
    const bad = marks.filter((mark) => mark === "bad").length;
    return { bad, cant_tell: marks.length - bad, good: this.batch.pairs.length - marks.length };
  }

  setLayout(layout) {
    this.layout = layout;
    remembered("imgsearch judging layout", layout);
    this.batch = null;
    this.state = "loading";
    this.draw();
    this.sync();
  }

  // --- talking to the server -------------------------------------------------------------------------------------

  async sync() {
    clearTimeout(this.timer);
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    this.again = false;
    const { now, layout } = this;
    const acts = [...this.waiting.acts.values()].slice(0, SENT_AT_ONCE);
    let pause = 0;
    try {
      const answer = await fetch(this.data.endpoint, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          set: this.data.set,
          labeler: this.data.labeler,
          client: this.client,
          role: this.data.role,
          layout,
          acts: acts.map(({ id, pair, act, took_ms }) => ({ id, pair, act, took_ms: took_ms || 0 })),
          history: !this.knowsHistory,
        }),
        signal: AbortSignal.any([this.stop.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      const reply = await answer.json();
      if (!answer.ok) throw new Error(reply.error?.message || `The server answered ${answer.status}.`);
      if (now === this.now) {
        this.apply(reply, layout);
        this.delay = RETRY_MS;
      }
    } catch (error) {
      if (this.stop.signal.aborted) return;
      const kept = this.waiting.acts.size;
      const reason = error instanceof TypeError || error.name === "TimeoutError" ? "The server cannot be reached." : error.message;
      this.say(`${reason} ${kept ? `${kept} of your judgments are saved in this browser and will be sent again.` : "Trying again …"}`, true);
      pause = this.delay;
      this.delay = Math.min(this.delay * 2, MAX_RETRY_MS);
    } finally {
      this.busy = false;
    }
    if (pause) this.timer = setTimeout(() => this.sync(), pause);
    else if (this.again || now !== this.now || this.waiting.acts.size) this.sync();
    else if (this.state === "waiting") this.timer = setTimeout(() => this.sync(), POLL_MS);
  }

  apply(reply, layout) {
    for (const id of reply.handled) this.waiting.remove(id);
    const refused = Object.entries(reply.refused);
    if (this.failed || refused.length) this.say(refused.length ? refused[0][1] : "");
    Object.assign(this.queries, reply.queries);
    if (!this.knowsHistory) this.history = reply.history;
    this.knowsHistory = true;
    this.progress = reply;
    if (layout !== this.layout) {
      this.again = true;
      return;
    }
    const unanswered = this.waiting.byPair();
    const listed = new Map(reply.pairs.map((pair) => [pair.pair, pair]));
    // Acts that the server has not confirmed override its list: an undone pair stays, a judged pair leaves.
    const kept = this.queue.filter((pair) => listed.has(pair.pair) || unanswered.get(pair.pair) === "undo");
    const have = new Set(kept.map((pair) => pair.pair));
    const fresh = reply.pairs.filter((pair) => {
      const act = unanswered.get(pair.pair);
      return !have.has(pair.pair) && (!act || act === "undo");
    });
    this.queue = [...kept, ...fresh];
    if (this.queue.length) this.state = "judging";
    else if (unanswered.size || this.again) this.state = "loading";
    else this.state = reply.waiting ? "waiting" : "done";
    this.draw();
  }

  // --- drawing ---------------------------------------------------------------------------------------------------

  say(text, failed = false) {
    this.failed = failed;
    this.parts.note.textContent = text;
    this.parts.note.classList.toggle("wrong", failed);
  }

  draw() {
    const p = this.parts;
    const judging = this.state === "judging" && this.queue.length > 0;
    const grid = this.layout === "grid";
    if (grid && judging && !this.batch) this.makeBatch();
    if (!judging) this.batch = null;
    p.frame.dataset.state = judging ? "judging" : this.state;
    p.frame.dataset.layout = this.layout;
    p.frame.dataset.unsent = this.waiting.acts.size;
    p.query.hidden = !judging;
    p.candidate.hidden = !judging || grid;
    p.gridPanel.hidden = !judging || !grid;
    p.message.hidden = judging;
    p.acts.hidden = grid;
    p.gridActs.hidden = !grid;
    p.layout.replaceChildren(icon(grid ? "single" : "grid"), element("span", {}, grid ? "One by one" : "Grid"));
    p.layout.title = grid ? "One candidate at a time" : "All candidates of a query at once";
    this.drawProgress();
    if (judging && !grid) this.drawPair(this.queue[0]);
    if (judging && grid) this.drawGrid();
    if (!judging) this.drawMessage();
    for (const button of p.acts.querySelectorAll("button")) {
      button.disabled = button.dataset.act === "undo" ? this.history.length === 0 : !judging;
    }
    p.gridUndo.disabled = this.history.length === 0;
    p.save.disabled = !this.batch;
    this.preload();
    this.fit();
  }

  drawProgress() {
    const { wanted, judged, mine, per_hour: perHour } = this.progress;
    const verdicts = [...this.waiting.acts.values()].filter((act) => VERDICTS.includes(act.act)).length;
    const undone = [...this.waiting.acts.values()].filter((act) => act.act === "undo").length;
    const done = Math.max(0, Math.min(wanted, judged + verdicts - undone));
    const p = this.parts;
    p.fill.style.width = wanted ? `${(100 * done) / wanted}%` : "0";
    p.bar.setAttribute("aria-valuemax", String(wanted));
    p.bar.setAttribute("aria-valuenow", String(done));
    const number = (value) => value.toLocaleString("en");
    p.count.replaceChildren(
      element("b", {}, number(done)),
      ` of ${number(wanted)}`,
      element("span", { class: "quiet" }, ` · ${number(Math.max(0, mine + verdicts - undone))} yours${perHour ? ` · ${number(Math.round(perHour))} an hour` : ""}`),
    );
  }

  drawQuery(key) {
    const { queryParts, query } = this.parts;
    if (this.queryShown === key) return;
    const before = this.queryShown;
    this.queryShown = key;
    const { parts = [], filters = [] } = this.queries[key] || {};
    queryParts.replaceChildren(
      ...parts.map((part) => {
        const how = part.weight < 0 ? "less" : part.weight !== 1 ? "more" : "";
        const label = { less: "Less like", more: "More like" }[how];
        const body = part.image
          ? [element("img", { src: part.image, alt: "", draggable: "false" }), element("span", { class: "title" }, part.label)]
          : [element("span", { class: "words" }, part.kind === "text" ? `“${part.label}”` : part.label)];
        return element("div", { class: `part ${part.kind} ${how}` }, label ? element("b", {}, label) : "", ...body);
      }),
      ...filters.map((text) => element("span", { class: "filter" }, text)),
    );
    if (before !== null) {
      query.classList.remove("new");
      void query.offsetWidth; // so that the animation starts again
      query.classList.add("new");
    }
  }

  drawPair(pair) {
    this.drawQuery(pair.query);
    if (this.shown === pair.pair && this.parts.stage.firstChild) return;
    this.shown = pair.pair;
    this.shownAt = performance.now();
    this.canSee = false;
    this.parts.caption.textContent = pair.title;
    const image = this.image(pair);
    this.parts.stage.replaceChildren(image);
    const ready = () => {
      if (this.shown !== pair.pair || this.canSee) return;
      this.canSee = true;
      this.shownAt = performance.now();
      this.parts.frame.dataset.pair = String(pair.pair);
    };
    if (!(image instanceof HTMLImageElement) || image.complete) ready();
    else {
      image.addEventListener("load", ready, { once: true });
      image.addEventListener("error", ready, { once: true });
    }
  }

  makeBatch() {
    const query = this.queue[0].query;
    const pairs = this.queue.filter((pair) => pair.query === query);
    this.batch = { pairs, marks: new Map(), shownAt: performance.now() };
    this.shown = null;
    this.parts.grid.dataset.drawn = "";
  }

  drawGrid() {
    const { grid } = this.parts;
    this.drawQuery(this.batch.pairs[0].query);
    const name = this.batch.pairs.map((pair) => pair.pair).join();
    if (grid.dataset.drawn !== name) {
      grid.dataset.drawn = name;
      grid.replaceChildren(
        ...this.batch.pairs.map((pair, place) => {
          const tile = element(
            "button",
            { type: "button", class: "tile", "aria-label": pair.title },
            this.image(pair),
            element("span", { class: "badge" }),
          );
          tile.onclick = () => this.mark(place, this.batch.marks.has(pair.pair) ? "good" : "bad");
          return element("li", {}, tile, element("span", { class: "title" }, pair.title));
        }),
      );
      grid.scrollTop = 0;
      this.shown = null;
    }
    this.drawMarks();
  }

  drawMarks() {
    const counts = this.counts();
    this.parts.grid.querySelectorAll("button.tile").forEach((tile, place) => {
      const mark = this.batch.marks.get(this.batch.pairs[place].pair) || "";
      tile.dataset.mark = mark;
      tile.setAttribute("aria-pressed", String(mark === "bad"));
      tile.querySelector(".badge").textContent = mark ? WORDS[mark] : "";
    });
    const total = this.batch.pairs.length;
    this.parts.save.replaceChildren(
      icon("done"),
      element("span", {}, counts.bad + counts.cant_tell ? `${counts.bad + counts.cant_tell} marked, ${counts.good} good` : `All ${total} are good`),
      element("kbd", {}, "Enter"),
    );
  }

  drawMessage() {
    const { wanted, judged, mine } = this.progress;
    const left = Math.max(0, wanted - judged);
    const referee = this.data.role === "referee";
    const [title, text] = {
      loading: ["One moment", "The next results are loading."],
      judging: ["One moment", "The next results are loading."],
      waiting: ["Other labelers have the last results", "You get them if they are not judged soon. You can keep this page open."],
      done: referee
        ? ["Nothing left to decide", "The raters agree on all other results. Thank you!"]
        : [
            "All done, thank you!",
            left
              ? `You have judged ${mine.toLocaleString("en")} results, all that you can. ${left.toLocaleString("en")} judgments are left for other labelers.`
              : `The set is complete; ${mine.toLocaleString("en")} judgments are yours.`,
          ],
    }[this.state];
    const done = this.state === "done";
    const back = element("button", { type: "button", class: "primary" }, "All judging sets");
    back.onclick = () => this.leave();
    this.parts.message.replaceChildren(
      done ? element("div", { class: "sign" }, icon("done")) : element("div", { class: "spinner", "aria-hidden": "true" }),
      element("h2", {}, title),
      element("p", {}, text),
      ...(done ? [back] : []),
    );
    this.shown = null;
    delete this.parts.frame.dataset.pair;
  }

  // Kept as elements, so that a preloaded photo is shown at once.
  image(pair) {
    let image = this.images.get(pair.pair);
    if (!image) {
      const missing = () => element("div", { class: "missing" }, icon("missing"), "Photo not available");
      if (pair.image) {
        image = element("img", { src: pair.image, alt: pair.title, decoding: "async", draggable: "false" });
        image.addEventListener("error", () => {
          const stand = missing();
          this.images.set(pair.pair, stand);
          image.replaceWith(stand);
        }, { once: true });
      } else image = missing();
      this.images.set(pair.pair, image);
    }
    return image;
  }

  preload() {
    const soon = this.queue.slice(0, PRELOADED);
    for (const pair of soon) this.image(pair);
    const needed = new Set([...this.queue, ...this.history.slice(-PRELOADED), ...(this.batch?.pairs || [])].map((pair) => pair.pair));
    for (const pair of this.images.keys()) if (!needed.has(pair)) this.images.delete(pair);
    const query = this.queue.find((pair) => pair.query !== this.queryShown);
    for (const part of (query && this.queries[query.query]?.parts) || []) if (part.image) new Image().src = part.image;
  }

  // As high as the rest of the window, so that nothing scrolls between two verdicts.
  fit() {
    const { frame } = this.parts;
    const top = frame.getBoundingClientRect().top + (document.querySelector('[data-testid="stMain"]')?.scrollTop || 0);
    frame.style.height = `${Math.max(MIN_HEIGHT_PX, innerHeight - top - 12)}px`;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const judge = parentElement.judge || (parentElement.judge = new Judge(parentElement));
  judge.update(data, setTriggerValue);
  requestAnimationFrame(() => judge.fit());
  // Streamlit calls this before every redraw too: listeners end only when the view has left the page.
  return () => {
    setTimeout(() => judge.parts.frame.isConnected || judge.end(), 2000);
  };
}
