// The gallery: a responsive grid of photo tiles. Every action is sent to Python as one event with its own id, so that
// a rerun does not handle it twice.

const THUMB = "M7 11v9H4v-9zM7 11l4.2-7.4c1.7.1 2.6 1.3 2.2 2.9L12.6 10h5.2a2 2 0 0 1 2 2.4l-1.3 6a2 2 0 0 1-2 1.6H7";
const ACTIONS = {
  good: { path: THUMB, label: "Good result", key: "g" },
  bad: { path: THUMB, label: "Bad result", key: "b", turned: true },
  more: { path: "M12 5v14M5 12h14", label: "More like this", key: "+" },
  less: { path: "M5 12h14", label: "Less like this", key: "-" },
  save: { path: "M7 4h10v16l-5-4-5 4z", label: "Save to a collection", key: "s" },
  remove: { path: "M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5", label: "Remove from this collection", key: "delete" },
  details: { path: "M12 11v6M12 7v.5M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0", label: "Details", key: "i" },
};
const CROP = 0.3; // a photo that loses at most this much fills its square; others are shown whole
const NO_PHOTO = "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M4 4l16 16";

function photo(tile, eager) {
  const image = element("img", {
    src: tile.thumb,
    alt: tile.title,
    width: 384,
    height: 384,
    loading: eager ? "eager" : "lazy",
    decoding: "async",
    draggable: "false",
  });
  const button = element(
    "button",
    { type: "button", class: "photo", "data-action": "open", "aria-label": tile.open_label || `Find items similar to ${tile.title}` },
    image,
  );
  image.addEventListener("load", () => {
    const ratio = image.naturalWidth / image.naturalHeight;
    if (ratio > 1 - CROP && ratio < 1 / (1 - CROP)) image.classList.add("fills");
    button.classList.add("loaded");
  }, { once: true });
  image.addEventListener("error", () => {
    image.replaceWith(element("span", { class: "missing" }, svgIcon(NO_PHOTO), "Photo not available"));
    button.classList.add("loaded");
  }, { once: true });
  return button;
}

function score(tile) {
  if (tile.share === null) return "";
  const percent = Math.round(tile.share * 100);
  const bar = element("div", { class: "score", role: "img", title: tile.score_text, "aria-label": tile.score_text });
  const fill = element("i");
  fill.style.width = `${percent}%`;
  bar.append(fill);
  return bar;
}

function actionRow(tile, names) {
  const row = element("div", { class: "actions", role: "group", "aria-label": `Actions for ${tile.title}` });
  for (const name of names) {
    const { path, label, key, turned } = ACTIONS[name];
    const verdict = name === "good" || name === "bad";
    row.append(element(
      "button",
      {
        type: "button",
        class: `action ${name}`,
        "data-action": name,
        title: `${label} (${key})`,
        "aria-label": `${label}: ${tile.title}`,
        "aria-pressed": verdict ? "false" : null,
        tabindex: "-1",
      },
      svgIcon(path, turned),
    ));
  }
  return row;
}

// The photos that are collapsed into a tile: a badge that unfolds them below it.
function fold(tile, picture, item) {
  const count = tile.also.length;
  const label = `${count} more ${count === 1 ? "photo" : "photos"} of ${tile.title}`;
  const others = element("div", { class: "others", role: "group", "aria-label": label, hidden: true });
  for (const other of tile.also) {
    others.append(element(
      "button",
      { type: "button", class: "other", "data-other": other.id, title: other.title, "aria-label": `Find items similar to ${other.title}` },
      element("img", { src: other.thumb, alt: "", loading: "lazy", decoding: "async", draggable: "false" }),
    ));
  }
  picture.append(element(
    "button",
    { type: "button", class: "badge", "aria-expanded": "false", "aria-label": label, title: label },
    `+${count}`,
  ));
  item.append(others);
}

function unfold(badge) {
  const others = badge.closest(".tile").querySelector(".others");
  others.hidden = !others.hidden;
  badge.setAttribute("aria-expanded", String(!others.hidden));
}

function draw(tile, position, names) {
  const caption = element("div", { class: "caption" }, element("span", { class: "title", title: tile.title }, tile.title));
  for (const line of tile.lines) caption.append(element("span", { class: "line" }, line));
  const picture = element("div", { class: "picture" }, photo(tile, position < 6), actionRow(tile, names));
  const item = element("li", { class: "tile", "data-id": tile.id }, picture, score(tile), caption);
  if (tile.also.length > 0) fold(tile, picture, item);
  return item;
}

function mark(item, verdict) {
  item.dataset.judged = verdict || "";
  for (const name of ["good", "bad"]) {
    item.querySelector(`.action.${name}`)?.setAttribute("aria-pressed", String(verdict === name));
  }
}

// The visitor's last verdict on a tile, also while it is still being sent.
function judgement(tile, waiting) {
  const verdicts = waiting.filter((event) => event.item_id === tile.id && ["good", "bad"].includes(event.action));
  return verdicts.reduce((before, event) => (before === event.action ? "" : event.action), tile.judged);
}

// One tile is in the tab order at a time; the arrow keys move to others.
function makeCurrent(grid, item, focus) {
  for (const other of grid.children) {
    for (const button of other.querySelectorAll("button")) button.tabIndex = other === item ? 0 : -1;
  }
  if (focus) {
    item.querySelector(".photo").focus();
    item.scrollIntoView({ block: "nearest" });
  }
}

function columns(grid) {
  const top = grid.children[0]?.offsetTop;
  let count = 0;
  while (count < grid.children.length && grid.children[count].offsetTop === top) count += 1;
  return Math.max(count, 1);
}

function toTop() {
  (document.querySelector('[data-testid="stMain"]') || document.scrollingElement)?.scrollTo({ top: 0 });
}

export default function ({ data, parentElement, setTriggerValue }) {
  let grid = parentElement.querySelector("ul.grid");
  if (!grid) {
    grid = element("ul", { class: "grid" });
    const button = element("button", { type: "button", class: "next", hidden: true }, "Show more");
    parentElement.append(element("div", { class: "frame" }, grid, button));
  }
  const next = parentElement.querySelector("button.next");
  next.hidden = !data.has_more;
  next.disabled = false;
  grid.setAttribute("aria-label", data.label);
  grid.classList.toggle("compact", data.compact);

  const names = data.actions;
  const before = Array.from(grid.children, (item) => item.dataset.id);
  const now = data.tiles.map((tile) => tile.id);
  const sameList = grid.dataset.list === data.list_id;
  const kept = sameList && before.every((id, position) => id === now[position]) ? before.length : 0;
  if (kept === 0) grid.replaceChildren();
  data.tiles.slice(kept).forEach((tile, offset) => grid.append(draw(tile, kept + offset, names)));
  const outbox = parentElement.outbox || (parentElement.outbox = new Outbox(parentElement));
  outbox.connect(setTriggerValue, data.handled);
  grid.dataset.unsent = outbox.waiting.length;
  data.tiles.forEach((tile, position) => mark(grid.children[position], judgement(tile, outbox.waiting)));
  if (kept === 0 && grid.children.length > 0) makeCurrent(grid, grid.children[0], grid.dataset.hadFocus === "yes");
  if (!sameList && grid.dataset.list !== undefined && data.scroll) toTop();
  grid.dataset.list = data.list_id;
  grid.dataset.hadFocus = "";
  grid.removeAttribute("aria-busy");
  grid.querySelector(".chosen")?.classList.remove("chosen");

  const send = (item, action) => {
    const position = Array.prototype.indexOf.call(grid.children, item);
    const tile = data.tiles[position];
    // A second click on the same tile is a double click and ignored; a click on another tile replaces the first.
    if (!tile || item.classList.contains("chosen")) return;
    if (action === "good" || action === "bad") {
      mark(item, item.dataset.judged === action ? "" : action);
    } else if (!["details", "save"].includes(action)) {
      grid.setAttribute("aria-busy", "true");
      grid.querySelector(".chosen")?.classList.remove("chosen");
      item.classList.add("chosen");
      grid.dataset.hadFocus = item.querySelector(":focus-visible") ? "yes" : "";
    }
    outbox.add({
      address: data.address,
      action,
      item_id: tile.id,
      rank: tile.rank,
      search_id: tile.search_id,
    });
    grid.dataset.unsent = outbox.waiting.length;
  };

  next.onclick = () => {
    next.disabled = true;
    outbox.add({ address: data.address, action: "next", item_id: "" });
  };
  grid.onclick = (event) => {
    const badge = event.target.closest("button.badge");
    if (badge) unfold(badge);
    const other = event.target.closest("button.other");
    if (other) outbox.add({ address: data.address, action: "open", item_id: other.dataset.other });
    const button = event.target.closest("button[data-action]");
    if (button) send(button.closest(".tile"), button.dataset.action);
  };
  if (!grid.dataset.roving) {
    grid.dataset.roving = "yes";
    grid.addEventListener("focusin", (event) => {
      const item = event.target.closest(".tile");
      if (item) makeCurrent(grid, item, false);
    });
  }
  grid.onkeydown = (event) => {
    const item = event.target.closest(".tile");
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = names.find((name) => ACTIONS[name].key === event.key.toLowerCase());
    if (action) {
      event.preventDefault();
      send(item, action);
      return;
    }
    const position = Array.prototype.indexOf.call(grid.children, item);
    const last = grid.children.length - 1;
    const target = {
      ArrowRight: position + 1,
      ArrowLeft: position - 1,
      ArrowDown: position + columns(grid),
      ArrowUp: position - columns(grid),
      Home: 0,
      End: last,
    }[event.key];
    if (target === undefined || target < 0 || target > last) return;
    event.preventDefault();
    makeCurrent(grid, grid.children[target], true);
  };
  // No clean-up: Streamlit would call it before every redraw too, and a click in between would be lost.
}
