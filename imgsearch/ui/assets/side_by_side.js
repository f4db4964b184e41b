// Two lists of hits for one query in two columns. Pointing at a photo highlights the same photo on the other side. A
// click is sent to Python as one event.

const CROP = 0.3; // a photo that loses at most this much fills its square; others are shown whole
const PLACES = { left: "Left", right: "Right" };

// The text of a mark, short for the screen and in full for screen readers. Ranks are in the order left, right.
function words(tile, place) {
  const [left, right] = place === "left" ? [tile.rank, tile.other] : [tile.other, tile.rank];
  const elsewhere = place === "left" ? "right" : "left";
  switch (tile.mark) {
    case "same":
      return { seen: ["same rank"], said: `the same rank on the ${elsewhere}` };
    case "moved":
      return { seen: [String(left), "→", String(right)], said: `rank ${tile.other} on the ${elsewhere}` };
    case "folded":
      return { seen: [`within ${tile.other}`], said: `collapsed into rank ${tile.other} on the ${elsewhere}` };
    default:
      return { seen: ["only here"], said: "only on this side" };
  }
}

function photo(tile, place, said, eager) {
  const image = element("img", {
    src: tile.thumb,
    alt: "",
    width: 384,
    height: 384,
    loading: eager ? "eager" : "lazy",
    decoding: "async",
    draggable: "false",
  });
  const label = `${PLACES[place]}, rank ${tile.rank}: ${tile.title}, ${said}. Find similar items on both sides`;
  const button = element("button", { type: "button", class: "photo", "aria-label": label, title: tile.title }, image, element("span", { class: "rank" }, String(tile.rank)));
  image.addEventListener("load", () => {
    const ratio = image.naturalWidth / image.naturalHeight;
    if (ratio > 1 - CROP && ratio < 1 / (1 - CROP)) image.classList.add("fills");
    button.classList.add("loaded");
  }, { once: true });
  image.addEventListener("error", () => image.replaceWith(element("span", { class: "missing" }, "Photo not available")), { once: true });
  return button;
}

function drawTile(tile, place, position) {
  const { seen, said } = words(tile, place);
  const mark = element("span", { class: `mark ${tile.mark}`, "aria-hidden": "true" });
  const own = place === "left" ? 0 : 2;
  seen.forEach((part, number) => mark.append(element(tile.mark === "moved" && number === own ? "b" : "span", {}, part)));
  return element(
    "li",
    { class: `tile ${tile.mark}`, "data-id": tile.id, "data-twin": tile.twin },
    photo(tile, place, said, position < 6),
    mark,
    element("span", { class: "title" }, tile.title),
  );
}

function drawSide(side) {
  const title = element("h2", { id: `side-${side.place}` }, element("small", {}, PLACES[side.place]), side.title);
  const tiles = element("ol", { class: "tiles", "aria-labelledby": `side-${side.place}` });
  side.tiles.forEach((tile, position) => tiles.append(drawTile(tile, side.place, position)));
  const list = side.tiles.length > 0 ? tiles : element("p", { class: "none" }, "Nothing found");
  return element("section", { class: "side", "data-place": side.place }, title, element("p", { class: "detail" }, side.detail), list);
}

function isDark(node) {
  const [red, green, blue] = (getComputedStyle(node).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return red + green + blue > 384;
}

// Highlight the same photo on both sides, or the one that it is collapsed into.
function trace(sides, tile) {
  for (const node of sides.querySelectorAll(".twin")) node.classList.remove("twin");
  const twin = tile?.dataset.twin;
  sides.classList.toggle("tracing", Boolean(twin));
  if (!twin) return;
  const other = [...sides.querySelectorAll(".side")].find((side) => !side.contains(tile));
  tile.classList.add("twin");
  [...other.querySelectorAll(".tile")].find((each) => each.dataset.id === twin)?.classList.add("twin");
}

// One tile of each side is in the tab order; the arrow keys move within the side.
function makeCurrent(tiles, tile, focus) {
  for (const each of tiles.children) each.querySelector(".photo").tabIndex = each === tile ? 0 : -1;
  if (!focus) return;
  tile.querySelector(".photo").focus();
  tile.scrollIntoView({ block: "nearest" });
}

function columns(tiles) {
  const top = tiles.children[0]?.offsetTop;
  let count = 0;
  while (count < tiles.children.length && tiles.children[count].offsetTop === top) count += 1;
  return Math.max(count, 1);
}

export default function ({ data, parentElement, setTriggerValue }) {
  let frame = parentElement.querySelector(".frame");
  if (!frame) {
    frame = element("div", { class: "frame" }, element("div", { class: "sides" }));
    parentElement.append(frame);
  }
  const sides = frame.firstElementChild;
  frame.classList.toggle("dark", isDark(frame));
  const outbox = parentElement.outbox || (parentElement.outbox = new Outbox(parentElement));
  outbox.connect(setTriggerValue, data.handled);
  const drawn = JSON.stringify(data.sides);
  if (sides.dataset.drawn !== drawn) {
    const had = sides.dataset.place;
    sides.dataset.drawn = drawn;
    sides.replaceChildren(...data.sides.map(drawSide));
    trace(sides, null);
    for (const tiles of sides.querySelectorAll(".tiles")) makeCurrent(tiles, tiles.children[0], false);
    if (had) sides.querySelector(`[data-place=${had}] .photo`)?.focus();
  }
  sides.dataset.place = "";
  sides.removeAttribute("aria-busy");
  sides.querySelector(".chosen")?.classList.remove("chosen");

  sides.onclick = (event) => {
    const tile = event.target.closest(".photo")?.closest(".tile");
    if (!tile || tile.classList.contains("chosen")) return;
    sides.setAttribute("aria-busy", "true");
    sides.querySelector(".chosen")?.classList.remove("chosen");
    tile.classList.add("chosen");
    sides.dataset.place = tile.querySelector(":focus-visible") ? tile.closest(".side").dataset.place : "";
    outbox.add({ address: data.address, action: "open", item_id: tile.dataset.id });
  };
  sides.onpointerover = (event) => {
    if (event.pointerType === "mouse") trace(sides, event.target.closest(".tile"));
  };
  sides.onpointerleave = () => trace(sides, null);
  sides.onkeydown = (event) => {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const tiles = tile.parentElement;
    const position = [...tiles.children].indexOf(tile);
    const target = {
      ArrowRight: position + 1,
      ArrowLeft: position - 1,
      ArrowDown: position + columns(tiles),
      ArrowUp: position - columns(tiles),
      Home: 0,
      End: tiles.children.length - 1,
    }[event.key];
    if (target === undefined || !tiles.children[target]) return;
    event.preventDefault();
    makeCurrent(tiles, tiles.children[target], true);
  };
  if (!sides.dataset.listening) {
    sides.dataset.listening = "yes";
    sides.addEventListener("focusin", (event) => {
      const tile = event.target.closest(".tile");
      if (!tile) return;
      makeCurrent(tile.parentElement, tile, false);
      if (event.target.matches(":focus-visible")) trace(sides, tile);
    });
    sides.addEventListener("focusout", () => trace(sides, null));
  }
}
