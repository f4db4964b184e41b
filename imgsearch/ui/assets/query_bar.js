// The query bar: text, a photo from a file, the clipboard, a drop or the camera, and the query as chips. Every action
// is sent to Python as one event with its own id.

const ICONS = {
  search: "M20 20l-4.2-4.2M18 11a7 7 0 1 1-14 0 7 7 0 0 1 14 0",
  picture: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M15.5 9v.2",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM15.5 13.2a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0",
  close: "M6 6l12 12M18 6 6 18",
  back: "M19 12H5M11 6l-6 6 6 6",
  undo: "M4 9h10a5 5 0 0 1 0 10H8M4 9l4.5-4.5M4 9l4.5 4.5",
  filters: "M4 7h16M7 12h10M10 17h4",
  crop: "M7 3v14h14M3 7h14v14",
};
const SEND_AS_IS_BYTES = 1024 * 1024;
const LONGEST_PX = 1024;
const VISITOR_COOKIE_S = 60 * 60 * 24 * 365;

const icon = (name) => svgIcon(ICONS[name]);

function iconButton(name, label, extra = "") {
  return element("button", { type: "button", class: `icon ${extra}`, title: label, "aria-label": label }, icon(name));
}

// --- pictures --------------------------------------------------------------------------------------------------

// Large photos are made smaller here, so that a phone sends 150 KB and not 8 MB. A photo that the browser cannot decode
// (HEIC, TIFF) is sent unchanged: the server may decode it.
async function readable(file, maxBytes) {
  if (file.size <= SEND_AS_IS_BYTES) return file;
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = element("canvas", {
      width: Math.max(1, Math.round(bitmap.width * scale)),
      height: Math.max(1, Math.round(bitmap.height * scale)),
    });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("empty"))), "image/jpeg", 0.92);
    });
  } catch {
    if (file.size > maxBytes) throw new Error(`This file is larger than ${Math.round(maxBytes / 1048576)} MB; choose a smaller one.`);
    return file;
  }
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",", 2)[1] || "");
    reader.onerror = () => reject(new Error("This file could not be read."));
    reader.readAsDataURL(blob);
  });
}

const firstPicture = (files) =>
  Array.from(files || []).find((file) => file.type.startsWith("image/") || /\.(heic|heif|tiff?)$/i.test(file.name));

// --- camera ----------------------------------------------------------------------------------------------------

async function takePhoto(root, say) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    say("The camera is not available. Allow it in the browser, or choose a photo instead.");
    return null;
  }
  const video = element("video", { autoplay: true, playsinline: true, muted: true });
  video.muted = true;
  video.srcObject = stream;
  const shoot = element("button", { type: "button", class: "primary" }, "Take photo");
  const cancel = element("button", { type: "button", class: "plain" }, "Cancel");
  const dialog = element("dialog", { "aria-label": "Take a photo" }, video, element("div", { class: "row" }, cancel, shoot));
  root.append(dialog);
  dialog.showModal();
  shoot.focus();
  const blob = await new Promise((resolve) => {
    cancel.onclick = () => resolve(null);
    dialog.oncancel = () => resolve(null);
    shoot.onclick = () => {
      const canvas = element("canvas", { width: video.videoWidth || 1, height: video.videoHeight || 1 });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob(resolve, "image/jpeg", 0.92);
    };
  });
  for (const track of stream.getTracks()) track.stop();
  dialog.close();
  dialog.remove();
  return blob;
}

// --- the bar ---------------------------------------------------------------------------------------------------

function build(root) {
  const input = element("input", {
    type: "search",
    name: "words",
    autocomplete: "off",
    autocapitalize: "off",
    enterkeyhint: "search",
    "aria-label": "Search by text",
  });
  const file = element("input", { type: "file", accept: "image/*,.heic,.heif,.tif,.tiff", hidden: true, tabindex: "-1", "aria-label": "Photo file" });
  const parts = {
    input,
    file,
    upload: iconButton("picture", "Search with a photo: choose a file, paste or drop one"),
    camera: iconButton("camera", "Take a photo"),
    submit: element("button", { type: "submit", class: "primary" }, icon("search"), element("span", {}, "Search")),
    refine: element("button", { type: "button", class: "plain refine", title: "Add this text to the search below" }, "Add to search"),
    note: element("p", { class: "note", role: "status", "aria-live": "polite" }),
    pinned: element("div", { class: "pinned" }),
    drop: element("div", { class: "drop", "aria-hidden": "true" }, element("span", {}, "Drop a photo to find similar items")),
  };
  parts.form = element(
    "form",
    { class: "bar", role: "search" },
    icon("search"),
    input,
    file,
    parts.upload,
    parts.camera,
    parts.refine,
    parts.submit,
  );
  root.append(element("div", { class: "frame" }, parts.form, parts.note, parts.pinned), parts.drop);
  return parts;
}

const signed = (weight) => `${weight < 0 ? "−" : "+"}${Math.abs(weight).toFixed(2).replace(/\.?0+$/, "")}`;

function chip(data, root, send) {
  const signs = { item: "Like", upload: "Like your photo", text: "Text", color: "Colour", filter: "Filter" };
  const isTerm = data.kind !== "filter";
  const lean = !isTerm || data.weight === 1 ? "" : data.weight > 0 ? "more" : "less";
  const way = lean === "less" ? "Less like" : lean && data.kind === "item" ? "More like" : signs[data.kind];
  const part = isTerm && data.region.length > 0 ? " (a part of it)" : "";
  const spoken = (data.kind === "upload" && data.weight > 0 ? signs.upload : `${way}: ${data.label}`) + part;
  const body = [];
  if (data.kind === "color") body.push(element("i", { class: "swatch", style: `background:${data.label}` }));
  if (data.thumb) {
    const image = element("img", { src: data.thumb, alt: data.label, width: 44, height: 44 });
    image.addEventListener("error", () => image.remove(), { once: true });
    if (part) {
      const [left, top, right, bottom] = data.region;
      image.style.objectViewBox = `inset(${top * 100}% ${100 - right * 100}% ${100 - bottom * 100}% ${left * 100}%)`;
    }
    body.push(image);
  }
  if (lean) body.push(element("b", { class: lean, "aria-hidden": "true" }, signed(data.weight)));
  body.push(element("span", { class: "label" }, data.kind === "text" ? `“${data.label}”` : data.label));
  const remove = element("button", { type: "button", class: "icon small", "aria-label": `Remove ${spoken}`, title: "Remove" }, icon("close"));
  remove.onclick = () => send({ kind: "remove", index: data.index, value: data.value });
  if (!isTerm) return element("li", { class: `chip ${data.kind}`, title: spoken }, ...body, remove);
  const open = element("button", { type: "button", class: "tune", title: `${spoken}. Change its weight${data.photo ? ", or choose a part" : ""}` }, ...body);
  open.setAttribute("aria-label", `Adjust ${spoken}`);
  open.onclick = () => adjust(data, root, send, open);
  return element("li", { class: `chip ${data.kind} ${lean}` }, open, remove);
}

// --- the weight of a term, and the part of its photo -------------------------------------------------------------

function adjust(data, root, send, opener) {
  const range = element("input", {
    type: "range", min: "-1", max: "1", step: "0.1", value: String(Math.max(-1, Math.min(1, data.weight))), "aria-label": "Weight",
  });
  const said = element("output", {});
  const say = () => {
    const weight = Number(range.value);
    said.textContent = weight === 0 ? "removed" : `${weight < 0 ? "less like this" : "more like this"} (${signed(weight)})`;
    range.setAttribute("aria-valuetext", said.textContent);
  };
  range.oninput = say;
  say();
  const cancel = element("button", { type: "button", class: "plain" }, "Cancel");
  const apply = element("button", { type: "submit", class: "primary" }, "Apply");
  const picker = data.photo ? regionPicker(data) : null;
  const form = element(
    "form",
    { method: "dialog" },
    element("h2", {}, data.kind === "text" ? `“${data.label}”` : data.label),
    ...(picker ? picker.nodes : []),
    element("label", { class: "weight" }, element("span", {}, "Weight"), range, said),
    element("div", { class: "row" }, cancel, apply),
  );
  const dialog = element("dialog", { class: "adjust", "aria-label": `Adjust ${data.label}` }, form);
  root.append(dialog);
  const close = () => {
    dialog.close();
    dialog.remove();
    opener.focus();
  };
  cancel.onclick = close;
  dialog.oncancel = close;
  form.onsubmit = (event) => {
    event.preventDefault();
    const weight = Number(range.value);
    const region = picker ? picker.value() : "";
    close();
    if (weight === 0) send({ kind: "remove", index: data.index, value: "" });
    else if (weight !== data.weight || region !== data.region.join(",")) send({ kind: "adjust", index: data.index, value: `${weight}@${region}` });
  };
  dialog.showModal();
  (picker ? picker.box : range).focus();
  picker?.suggest(() => form.requestSubmit());
}

// Requests of Python to choose a part of a photo; each opens the dialog once, however often the bar is drawn.
const opened = new Set();

function chooseAtOnce(data, root, send) {
  const photo = data.chips.find((each) => each.photo);
  if (!data.choosing || opened.has(data.choosing) || !photo) return;
  opened.add(data.choosing);
  adjust(photo, root, send, root.queryBar.pinned.querySelector(".tune"));
}

// A box over the photo: drawn by dragging on it, moved by dragging it or by the arrow keys, resized with Shift.
function regionPicker(data) {
  const STEP = 0.02;
  const SMALLEST = 0.05;
  const DRAG_PX = 5;
  let region = data.region.length > 0 ? [...data.region] : [0, 0, 1, 1];
  const image = element("img", { src: data.photo, alt: data.label, draggable: "false" });
  const box = element("div", { class: "box", tabindex: "0", role: "application", "aria-label": "The part to search for: arrow keys move it, with Shift they change its size" });
  const stage = element("div", { class: "stage" }, image, box);
  const whole = element("button", { type: "button", class: "plain" }, "Whole photo");
  const hint = element("p", { class: "hint", role: "status" });
  let objects = 0;
  const draw = () => {
    const [left, top, right, bottom] = region;
    box.style.inset = `${top * 100}% ${100 - right * 100}% ${100 - bottom * 100}% ${left * 100}%`;
    whole.disabled = right - left >= 0.999 && bottom - top >= 0.999;
    const how = objects > 0 ? "Click a numbered part, or drag over a part." : "Drag over a part of the photo.";
    hint.textContent = whole.disabled ? how : "The search uses only this part.";
  };
  const keep = (left, top, right, bottom) => {
    region = [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)].map((edge) => Math.min(1, Math.max(0, edge)));
    draw();
  };
  whole.onclick = () => keep(0, 0, 1, 1);
  const place = (event) => {
    const area = stage.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  stage.onpointerdown = (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    const [x, y] = place(event);
    const before = region;
    const start = [event.clientX, event.clientY];
    // Until it moves, this may be a click on a suggested part; capturing the pointer would suppress that click.
    stage.onpointermove = (move) => {
      if (!stage.hasPointerCapture(event.pointerId)) {
        if (Math.hypot(move.clientX - start[0], move.clientY - start[1]) < DRAG_PX) return;
        stage.setPointerCapture(event.pointerId);
        box.focus();
      }
      keep(x, y, ...place(move));
    };
    const end = () => {
      stage.onpointermove = stage.onpointerup = stage.onpointercancel = null;
      const tooSmall = region[2] - region[0] < SMALLEST || region[3] - region[1] < SMALLEST;
      if (tooSmall) keep(...before);
    };
    stage.onpointerup = end;
    stage.onpointercancel = end;
  };
  box.onkeydown = (event) => {
    const ways = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const [left, top, right, bottom] = region;
    if (event.shiftKey) {
      keep(left, top, Math.max(left + SMALLEST, right + way[0]), Math.max(top + SMALLEST, bottom + way[1]));
    } else {
      const dx = Math.max(-left, Math.min(1 - right, way[0]));
      const dy = Math.max(-top, Math.min(1 - bottom, way[1]));
      keep(left + dx, top + dy, right + dx, bottom + dy);
    }
  };
  draw();
  // The objects that the server finds in the photo, as numbered buttons on it: a click searches for that part.
  const suggest = async (choose) => {
    let found = [];
    try {
      const answer = await fetch(data.regions);
      found = answer.ok ? (await answer.json()).regions : [];
    } catch {
      return; // without suggestions the visitor drags over a part
    }
    objects = found.length;
    found.forEach(({ left, top, right, bottom }, place) => {
      const button = element(
        "button",
        { type: "button", class: "suggested", "aria-label": `Search for part ${place + 1} of ${objects}` },
        element("span", { "aria-hidden": "true" }, String(place + 1)),
      );
      button.style.inset = `${top * 100}% ${100 - right * 100}% ${100 - bottom * 100}% ${left * 100}%`;
      button.onclick = () => {
        keep(left, top, right, bottom);
        choose();
      };
      stage.append(button);
    });
    draw();
  };
  return {
    box,
    suggest,
    nodes: [stage, element("div", { class: "row between" }, hint, whole)],
    value: () => (whole.disabled ? "" : region.map((edge) => String(Math.round(edge * 1e4) / 1e4)).join(",")),
  };
}

function crumbs(trail, send) {
  const list = element("ol", { class: "crumbs", "aria-label": "Earlier searches" });
  trail.forEach((step, position) => {
    const last = position === trail.length - 1;
    const node = last
      ? element("span", { "aria-current": "page" }, step.label)
      : element("button", { type: "button", class: "crumb" }, step.label);
    if (!last) node.onclick = () => send({ kind: "go", value: step.to });
    list.append(element("li", {}, node));
  });
  return list;
}

function drawPinned(parts, data, root, send) {
  const before = parts.pinned.dataset.drawn;
  const now = JSON.stringify([data.chips, data.trail, data.filters, data.can_undo]);
  if (before === now) return;
  parts.pinned.dataset.drawn = now;
  const rows = [];
  const way = element("div", { class: "row trail" });
  if (data.trail.length > 1) {
    const back = element("button", { type: "button", class: "plain back" }, icon("back"), "Back");
    back.onclick = () => send({ kind: "go", value: data.trail[data.trail.length - 2].to });
    way.append(element("nav", { "aria-label": "Back" }, back, crumbs(data.trail, send)));
  }
  if (data.can_undo) {
    const undo = element("button", { type: "button", class: "plain undo", title: "Undo the last change (Ctrl+Z)" }, icon("undo"), "Undo");
    undo.onclick = () => send({ kind: "undo" });
    way.append(undo);
  }
  if (way.childElementCount > 0) rows.push(way);
  const row = element("div", { class: "row" });
  if (data.chips.length > 0) {
    row.append(element("ul", { class: "chips", "aria-label": "Your search" }, ...data.chips.map((each) => chip(each, root, send))));
    if (data.chips.length > 1) {
      const clear = element("button", { type: "button", class: "plain" }, "Clear all");
      clear.onclick = () => send({ kind: "clear" });
      row.append(clear);
    }
    const photo = data.chips.find((each) => each.photo && each.region.length === 0 && each.weight > 0);
    if (photo) {
      const choose = element("button", { type: "button", class: "plain part", title: "Search for one object in the photo" }, icon("crop"), "Search a part");
      choose.onclick = () => adjust(photo, root, send, choose);
      row.append(choose);
    }
  }
  if (data.filters) {
    const open = element("button", { type: "button", class: "plain filters" }, icon("filters"), "Filters");
    open.onclick = () => document.querySelector('[data-testid="stExpandSidebarButton"]')?.click();
    row.append(open);
  }
  if (row.childElementCount > 0) rows.push(row);
  parts.pinned.replaceChildren(...rows);
}

function keepVisitor(visitor) {
  if (visitor && !document.cookie.includes("imgsearch_visitor=")) {
    document.cookie = `imgsearch_visitor=${visitor}; path=/; max-age=${VISITOR_COOKIE_S}; samesite=lax`;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const parts = parentElement.queryBar || (parentElement.queryBar = build(parentElement));
  parts.controller?.abort();
  parts.controller = new AbortController();
  const { signal } = parts.controller;
  const { form, input, file, note } = parts;

  const say = (text, wrong = false) => {
    note.textContent = text;
    note.classList.toggle("wrong", wrong);
  };
  const send = (event) => {
    form.setAttribute("aria-busy", "true");
    parts.outbox.add(event);
  };
  const sendPicture = async (picture, maxBytes = data.max_upload_bytes) => {
    if (!picture) return;
    try {
      form.setAttribute("aria-busy", "true");
      send({ kind: "picture", value: await base64(await readable(picture, maxBytes)) });
    } catch (error) {
      form.removeAttribute("aria-busy");
      say(error.message, true);
    }
  };

  parts.outbox ||= new Outbox(parentElement);
  parts.outbox.connect(setTriggerValue, data.handled);
  if (parts.text !== data.text) input.value = data.text;
  parts.text = data.text;
  input.placeholder = data.placeholder;
  input.maxLength = data.max_chars;
  // Text can be added to a search that has a photo; the button is hidden until some is typed.
  const canRefine = data.chips.some((each) => each.kind !== "filter" && each.kind !== "text");
  const offerRefine = () => {
    parts.refine.hidden = !canRefine || !input.value.trim();
  };
  offerRefine();
  input.oninput = offerRefine;
  parts.camera.hidden = !navigator.mediaDevices?.getUserMedia;
  if (parts.outbox.waiting.length === 0) form.removeAttribute("aria-busy");
  say(data.note, data.note_is_error);
  keepVisitor(data.visitor);
  drawPinned(parts, data, parentElement, send);
  chooseAtOnce(data, parentElement, send);

  form.onsubmit = (event) => {
    event.preventDefault();
    const words = input.value.trim();
    if (words) send({ kind: "text", value: words });
    else input.focus();
  };
  parts.refine.onclick = () => {
    const words = input.value.trim();
    if (words) send({ kind: "refine", value: words });
    else input.focus();
  };
  parts.upload.onclick = () => file.click();
  file.onchange = () => {
    sendPicture(file.files[0]);
    file.value = "";
  };
  parts.camera.onclick = async () => sendPicture(await takePhoto(parentElement, (text) => say(text, true)));

  document.addEventListener("paste", (event) => {
    const picture = firstPicture(event.clipboardData?.files);
    if (!picture) return;
    event.preventDefault();
    sendPicture(picture);
  }, { signal });
  let depth = 0;
  const dragsFile = (event) => Array.from(event.dataTransfer?.types || []).includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!dragsFile(event)) return;
    depth += 1;
    parts.drop.classList.add("shown");
  }, { signal });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) parts.drop.classList.remove("shown");
  }, { signal });
  document.addEventListener("dragover", (event) => {
    if (dragsFile(event)) event.preventDefault();
  }, { signal });
  document.addEventListener("drop", (event) => {
    if (!dragsFile(event)) return;
    event.preventDefault();
    depth = 0;
    parts.drop.classList.remove("shown");
    const picture = firstPicture(event.dataTransfer.files);
    if (picture) sendPicture(picture);
    else say("This is not a photo. Drop a JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC file.", true);
  }, { signal });
  document.addEventListener("keydown", (event) => {
    const typing = event.composedPath()[0]?.matches?.("input, textarea, [contenteditable=true]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  }, { signal });
  document.addEventListener("keydown", (event) => {
    const inField = event.composedPath()[0]?.matches?.("input, textarea, select, [contenteditable=true]");
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z";
    const inDialog = document.querySelector("[role=dialog]") || parentElement.querySelector("dialog[open]");
    if (!isUndo || inField || inDialog || !data.can_undo) return;
    event.preventDefault();
    send({ kind: "undo" });
  }, { signal });
  // Streamlit calls this before every redraw too: listeners end only when the bar has left the page.
  return () => {
    setTimeout(() => form.isConnected || parts.controller.abort(), 2000);
  };
}
