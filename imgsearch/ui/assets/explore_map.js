// The map: each photo is a point in two or three dimensions, drawn by WebGL2 or on a plain canvas. Clicks on points and
// selections are sent to Python as events.

const ICONS = {
  in: "M12 5v14M5 12h14",
  out: "M5 12h14",
  home: "M4 11l8-7 8 7v9h-5v-6H9v6H4z",
  lasso: "M7 20c-2-1-2-4 1-4s4 3 1 4M4 13C2 8 6 4 12 4s10 3 9 7-7 6-12 5",
  photos: "M4 5h16v14H4zM4 16l5-5 4 4 2.5-2.5L20 17M15 9h.01",
};
// Distinguishable for most colour-blind people (after Paul Tol, and Okabe and Ito); a second round is drawn as rings.
const PALETTE = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#e69f00", "#009e73", "#cc79a7", "#8877dd", "#a0785a", "#70808a"];
const OTHER = "#9aa3a0";
const RAMP = ["#482173", "#3b528b", "#21918c", "#5ec962", "#fde725"]; // viridis
const NO_VALUE = 65535;
const PERSPECTIVE = 0.55;
const REACH_PX = 14;
const FINGER_PX = 26;
const CLICK_PX = 5;
const PHOTO_GAP_PX = 66;
const MAX_PHOTOS = 70;
const REST_MS = 160;
const [SLOW_MS, QUICK_MS] = [45, 24];
const MIN_POINTS = 6000;

const VERTEX = `#version 300 es
in vec3 place; in vec4 color;
uniform mat3 turn; uniform vec2 half_size; uniform vec2 offset; uniform float scale; uniform float depth; uniform float size;
out vec4 ink;
void main() {
  vec3 p = turn * (place - 0.5);
  float w = max(1.0 - depth * p.z, 0.1);
  gl_Position = vec4((p.xy * scale + vec2(offset.x, -offset.y) * w) / half_size, -p.z * 0.5 * w, w);
  gl_PointSize = size / w;
  ink = color;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 ink; out vec4 shown;
void main() {
  float r = length(gl_PointCoord - 0.5) * 2.0;
  if (r > 1.0 || (ink.a < 0.75 && r < 0.48)) discard;
  float edge = smoothstep(0.72, 0.95, r);
  shown = vec4(mix(ink.rgb, ink.rgb * 0.72, edge), 1.0);
}`;

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const css = (color) => `rgb(${color.map(Math.round).join(" ")})`;
const mix = (a, b, share) => a.map((part, place) => part + (b[place] - part) * share);

function ramp(share) {
  const at = share * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  return mix(rgb(RAMP[low]), rgb(RAMP[low + 1]), at - low);
}

// The RGB values of a colour in CSS: rgb(...), #..., a name. Null for other text.
function readColor(text) {
  if (!CSS.supports("color", text)) return null;
  const context = readColor.context || (readColor.context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }));
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3));
}

// A column of colour names is shown in those colours.
function namedColors(values) {
  const named = values.map((value) => (value.other ? rgb(OTHER) : /^[a-z ]+$/i.test(value.label) ? readColor(value.label.replaceAll(" ", "")) : null));
  return values.length > 1 && named.filter(Boolean).length >= 0.7 * values.length ? named.map((color) => color || rgb(OTHER)) : null;
}

function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const { count, dimensions } = header;
  const keysAt = 4 + length;
  const placesAt = keysAt + 4 * count;
  const flat = new Uint16Array(buffer.slice(placesAt, placesAt + 2 * dimensions * count));
  const places = new Uint16Array(4 * count); // WebGL is fastest with rows of a multiple of four bytes
  for (let point = 0; point < count; point += 1) {
    places[4 * point] = flat[dimensions * point];
    places[4 * point + 1] = flat[dimensions * point + 1];
    places[4 * point + 2] = dimensions === 3 ? flat[dimensions * point + 2] : 32768;
  }
  return {
    ...header,
    keys: new Uint32Array(buffer.slice(keysAt, placesAt)),
    places,
    codes: new Uint16Array(buffer.slice(placesAt + 2 * dimensions * count)),
  };
}

// --- two ways to draw points ------------------------------------------------------------------------------------

class Gpu {
  static on(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, powerPreference: "low-power" });
    return gl ? new Gpu(gl, canvas) : null;
  }

  constructor(gl, canvas) {
    this.gl = gl;
    this.canvas = canvas;
    this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    gl.useProgram(this.program);
    this.at = (name) => gl.getUniformLocation(this.program, name);
    this.buffers = Object.fromEntries(["places", "colors", "order"].map((name) => [name, gl.createBuffer()]));
  }

  load(points) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.places);
    gl.bufferData(gl.ARRAY_BUFFER, points.places, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.program, "place");
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, gl.UNSIGNED_SHORT, true, 8, 0);
  }

  paint(colors, order) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.colors);
    gl.bufferData(gl.ARRAY_BUFFER, colors, gl.STATIC_DRAW);
    const color = gl.getAttribLocation(this.program, "color");
    gl.enableVertexAttribArray(color);
    gl.vertexAttribPointer(color, 4, gl.UNSIGNED_BYTE, true, 4, 0);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
  }

  // `parts` counts the faint points and the bright ones over them; of each the first `share` is drawn.
  draw(camera, size, [faint, bright], share) {
    const { gl, canvas } = this;
    const ratio = canvas.width / Math.max(camera.width, 1);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix3fv(this.at("turn"), true, camera.turn);
    gl.uniform2f(this.at("half_size"), camera.width / 2, camera.height / 2);
    gl.uniform2f(this.at("offset"), camera.x, camera.y);
    gl.uniform1f(this.at("scale"), camera.scale);
    gl.uniform1f(this.at("depth"), camera.depth);
    gl.uniform1f(this.at("size"), size * ratio);
    gl.disable(gl.DEPTH_TEST);
    if (faint) gl.drawElements(gl.POINTS, Math.ceil(faint * share), gl.UNSIGNED_INT, 0);
    if (camera.depth) gl.enable(gl.DEPTH_TEST);
    if (bright) gl.drawElements(gl.POINTS, Math.ceil(bright * share), gl.UNSIGNED_INT, 4 * faint);
  }
}

class Plain {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  load(points) {
    this.places = points.places;
  }

  paint(colors, order) {
    this.colors = colors;
    this.order = order;
  }

  draw(camera, size, [faint, bright], share) {
    const { context, canvas, colors } = this;
    const ratio = canvas.width / Math.max(camera.width, 1);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    let before = -1;
    const shown = [this.order.subarray(0, faint * share), this.order.subarray(faint, faint + bright * share)];
    for (const point of shown.flatMap((part) => Array.from(part))) {
      const [x, y, w] = camera.project(this.places, point);
      if (x < -9 || y < -9 || x > camera.width + 9 || y > camera.height + 9) continue;
      const color = (colors[4 * point] << 16) | (colors[4 * point + 1] << 8) | colors[4 * point + 2];
      if (color !== before) context.fillStyle = `rgb(${color >> 16} ${(color >> 8) & 255} ${color & 255})`;
      before = color;
      const side = size / w;
      if (side < 4) {
        context.fillRect(x - side / 2, y - side / 2, side, side);
      } else {
        context.beginPath();
        context.arc(x, y, side / 2, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }
}

// --- the camera --------------------------------------------------------------------------------------------------

class Camera {
  constructor() {
    this.width = this.height = 1;
    this.covered = 0; // width of the right side that the legend covers
    this.sides = [1, 1]; // of the shown area, as shares of its longest side
    this.home(2);
  }

  home(dimensions) {
    this.depth = dimensions === 3 ? PERSPECTIVE : 0;
    this.x = -this.covered / 2;
    this.y = 0;
    this.zoom = 1;
    this.yaw = dimensions === 3 ? 0.6 : 0;
    this.pitch = dimensions === 3 ? 0.35 : 0;
    this.aim();
  }

  aim() {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    this.turn = [cy, 0, sy, sp * sy, cp, -sp * cy, -cp * sy, sp, cp * cy];
    const [wide, high] = this.sides;
    const whole = this.depth ? 0.82 * Math.min(this.width, this.height) : 0.92 * Math.min((this.width - this.covered) / wide, this.height / high);
    this.scale = this.zoom * whole;
  }

  project(places, point) {
    const [a, b, c, d, e, f, g, h, i] = this.turn;
    const x = places[4 * point] / 65535 - 0.5;
    const y = places[4 * point + 1] / 65535 - 0.5;
    const z = places[4 * point + 2] / 65535 - 0.5;
    const w = Math.max(1 - this.depth * (g * x + h * y + i * z), 0.1);
    return [
      this.width / 2 + this.x + ((a * x + b * y + c * z) * this.scale) / w,
      this.height / 2 + this.y - ((d * x + e * y + f * z) * this.scale) / w,
      w,
    ];
  }

  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.5), 400);
    const by = zoom / this.zoom;
    const [fromX, fromY] = [x - this.width / 2, y - this.height / 2];
    this.x = fromX - (fromX - this.x) * by;
    this.y = fromY - (fromY - this.y) * by;
    this.zoom = zoom;
    this.aim();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
  }

  orbit(x, y) {
    this.yaw += x * 0.008;
    this.pitch = Math.min(Math.max(this.pitch + y * 0.008, -1.5), 1.5);
    this.aim();
  }
}

// --- the view ----------------------------------------------------------------------------------------------------

class MapView {
  constructor(root, outbox) {
    this.root = root;
    this.outbox = outbox;
    this.camera = new Camera();
    this.points = null;
    this.isolated = new Set();
    this.selected = new Set();
    this.known = new Map();
    this.pictures = new Map();
    this.current = -1;
    this.lassoing = false;
    this.lasso = null;
    this.fingers = new Map();
    this.showPhotos = true;
    this.moving = false;
    this.share = 1;
    this.parts = [0, 0];
    this.build();
    this.listen();
  }

  build() {
    this.canvas = element("canvas", {
      class: "points",
      tabindex: "0",
      role: "application",
      "aria-label": "Map of the catalog. Arrow keys move among the photos, Enter finds similar items, plus and minus zoom, Shift and arrows move the map, L selects photos.",
    });
    this.ink = element("canvas", { class: "ink" });
    this.photos = element("div", { class: "photos", "aria-hidden": "true" });
    this.card = element("div", { class: "card", hidden: true });
    this.status = element("p", { class: "status", role: "status" }, "Loading the map …");
    this.spoken = element("p", { class: "sr", role: "status" });
    this.countLine = element("p", { class: "count-line" });
    this.legend = element("div", { class: "legend", hidden: true });
    this.buttons = {};
    const tools = element("div", { class: "tools", role: "toolbar", "aria-label": "Map" });
    const make = (name, label, word = "") => {
      const button = element("button", { type: "button", title: label, "aria-label": label }, svgIcon(ICONS[name]));
      if (word) button.append(element("span", { class: "word" }, word));
      tools.append(button);
      this.buttons[name] = button;
    };
    make("in", "Zoom in (+)");
    make("out", "Zoom out (-)");
    make("home", "Whole map (0)");
    make("lasso", "Draw around photos to select them (L)", "Select");
    make("photos", "Show photos on the map (P)", "Photos");
    const stage = element("div", { class: "stage" }, this.canvas, this.ink, this.photos, this.status, this.countLine, tools, this.card);
    this.stage = stage;
    this.frame = element("div", { class: "map" }, stage, this.legend, this.spoken);
    this.root.append(this.frame);
    this.painter = Gpu.on(this.canvas) || new Plain(this.canvas);
    this.frame.dataset.painter = this.painter instanceof Gpu ? "webgl" : "canvas";
    new ResizeObserver(() => this.resize()).observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(() => this.repaint(), 50));
  }

  listen() {
    const { canvas, buttons } = this;
    buttons.in.onclick = () => this.zoom(1.5);
    buttons.out.onclick = () => this.zoom(1 / 1.5);
    buttons.home.onclick = () => this.goHome();
    buttons.lasso.onclick = () => this.setLasso(!this.lassoing);
    buttons.photos.onclick = () => this.setPhotos(!this.showPhotos);
    buttons.photos.setAttribute("aria-pressed", "true");
    buttons.lasso.setAttribute("aria-pressed", "false");
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerleave", () => this.fingers.size === 0 && !this.docked && this.pointAt(-1));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = this.within(event);
      this.camera.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y);
      this.moved();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.byKeys && this.pointAt(-1));
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.painter = new Gpu(this.painter.gl, canvas);
      if (this.points) this.painter.load(this.points);
      this.repaint();
    });
  }

  // --- data from Python ---

  update(data) {
    const query = `projection=${data.projection}&dimensions=${data.dimensions}&by=${encodeURIComponent(data.by)}`;
    const requested = `${query} ${data.version}`;
    this.data = data;
    if (!data.has_selection && this.selected.size && this.outbox.waiting.length === 0) {
      this.selected.clear();
      this.repaint();
    }
    if (this.requested !== requested) {
      this.requested = requested;
      this.fetch(query, requested);
    } else if (this.isolateSeen !== data.isolate) {
      this.isolate(data.isolate);
    }
  }

  async fetch(query, requested) {
    this.frame.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${this.data.endpoint}?${query}`);
      if (!answer.ok) throw new Error((await answer.json()).error.message);
      const points = unpack(await answer.arrayBuffer());
      if (this.requested !== requested) return; // replaced by a newer request
      this.take(points);
      this.status.textContent = points.count ? "" : "No photos to show.";
    } catch (error) {
      if (this.requested === requested) this.status.textContent = `The map cannot be shown: ${error.message}`;
    }
    this.frame.removeAttribute("aria-busy");
  }

  take(points) {
    const before = this.points;
    this.points = points;
    this.priority = Uint32Array.from(points.keys, (_, place) => place).sort(
      (a, b) => (Math.imul(points.keys[a], 2654435761) >>> 0) - (Math.imul(points.keys[b], 2654435761) >>> 0),
    );
    this.pointAt(-1);
    this.camera.sides = sidesOf(points);
    this.legend.hidden = points.legend.kind === "none";
    this.resize();
    if (!before || before.dimensions !== points.dimensions || before.projection !== points.projection) this.camera.home(points.dimensions);
    this.painter.load(points);
    if (!before || before.legend.by !== points.legend.by) this.isolated.clear();
    this.countLine.textContent = `${points.count.toLocaleString("en")} photos`;
    this.isolateSeen = undefined;
    if (this.data.isolate !== null) this.isolate(this.data.isolate, true);
    else this.isolateSeen = null;
    this.repaint();
    this.frame.dataset.shown = `${points.projection} ${points.dimensions} ${points.legend.by}`;
  }

  isolate(number, quiet = false) {
    this.isolateSeen = number;
    this.isolated = number === null ? new Set() : new Set([number]);
    this.repaint();
    if (!quiet || number !== null) this.frame.scrollIntoView({ block: "nearest" });
  }

  // --- colours and the legend ---

  repaint() {
    if (!this.points) return;
    const { legend, count, codes } = this.points;
    const ground = readColor(getComputedStyle(this.frame).getPropertyValue("--st-background-color").trim() || "#fff") || [255, 255, 255];
    const named = legend.kind === "choice" && legend.by !== "cluster" ? namedColors(legend.values) : null;
    this.colorOf = (code) => {
      if (legend.kind === "none") return rgb(PALETTE[0]);
      if (code === NO_VALUE) return mix(rgb(OTHER), ground, 0.4);
      if (legend.kind === "number") return ramp(code / 65534);
      if (named) return named[code];
      return rgb(legend.values[code].other ? OTHER : PALETTE[code % PALETTE.length]);
    };
    this.isRing = (code) => legend.kind === "choice" && !named && code !== NO_VALUE && !legend.values[code].other && Math.floor(code / PALETTE.length) % 2 === 1;
    const colors = new Uint8Array(4 * count);
    const [faint, bright] = [[], []];
    const cache = new Map();
    for (const point of this.priority) {
      const code = codes[point];
      const back = (this.isolated.size && !this.isolated.has(code)) || (this.selected.size && !this.selected.has(this.points.keys[point]));
      const name = code * 2 + (back ? 1 : 0);
      let color = cache.get(name);
      if (!color) {
        color = back ? mix(this.colorOf(code), ground, 0.84) : this.colorOf(code);
        color = [...color, this.isRing(code) ? 128 : 255];
        cache.set(name, color);
      }
      colors.set(color, 4 * point);
      (back ? faint : bright).push(point);
    }
    this.parts = [faint.length, bright.length];
    this.isFaint = new Uint8Array(count);
    for (const point of faint) this.isFaint[point] = 1;
    this.painter.paint(colors, Uint32Array.from([...faint, ...bright]));
    this.drawLegend();
    this.changed();
  }

  drawLegend() {
    const { legend } = this.points;
    const focused = this.root.activeElement?.dataset?.code;
    this.legend.hidden = legend.kind === "none";
    this.legend.classList.toggle("isolating", this.isolated.size > 0);
    const parts = [element("h3", {}, this.data.title)];
    if (legend.kind === "number") {
      const bar = element("div", { class: "ramp" });
      bar.style.background = `linear-gradient(to right, ${RAMP.join(", ")})`;
      const ends = [legend.low, legend.high].map((value) => element("span", {}, value.toLocaleString("en", { maximumSignificantDigits: 3 })));
      parts.push(bar, element("div", { class: "ends" }, ...ends));
      if (legend.none) parts.push(element("p", { class: "quiet" }, `${legend.none.toLocaleString("en")} without a value`));
    } else if (legend.kind === "choice") {
      const list = element("ul");
      const entries = legend.values.map((value, code) => [code, value.label, value.count]);
      if (legend.none) entries.push([NO_VALUE, "No value", legend.none]);
      for (const [code, label, count] of entries) {
        if (!count) continue;
        const dot = element("i", { class: this.isRing(code) ? "ring" : null });
        dot.style.setProperty("--dot", css(this.colorOf(code)));
        const button = element(
          "button",
          { type: "button", "data-code": code, "aria-pressed": String(this.isolated.has(code)), title: label },
          dot,
          element("span", { class: "name" }, label || `Group ${code + 1}`),
          element("span", { class: "count" }, count.toLocaleString("en")),
        );
        button.onclick = () => {
          if (!this.isolated.delete(code)) this.isolated.add(code);
          this.repaint();
        };
        list.append(element("li", {}, button));
      }
      parts.push(list);
      if (this.isolated.size) {
        const reset = element("button", { type: "button", class: "reset" }, "Show all");
        reset.onclick = () => {
          this.isolated.clear();
          this.repaint();
          this.canvas.focus({ preventScroll: true });
        };
        parts.push(reset);
      }
    }
    const { scrollTop } = this.legend;
    this.legend.replaceChildren(...parts);
    this.legend.scrollTop = scrollTop;
    if (focused !== undefined) this.legend.querySelector(`[data-code="${focused}"]`)?.focus({ preventScroll: true });
  }

  // --- drawing ---

  resize() {
    const { width, height } = this.stage.getBoundingClientRect();
    if (!width || !height) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.ink]) {
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== wide) canvas.width = wide;
      if (canvas.height !== high) canvas.height = high;
    }
    const over = !this.legend.hidden && getComputedStyle(this.legend).position === "absolute";
    const covered = over ? 212 : 0;
    if (this.camera.zoom === 1) this.camera.x -= (covered - this.camera.covered) / 2;
    Object.assign(this.camera, { width, height, covered });
    this.camera.aim();
    this.changed();
  }

  // While the camera moves, slow machines draw only a share of the points; all of them follow when it stops.
  moved() {
    this.moving = true;
    this.changed();
  }

  changed() {
    if (this.pending) return;
    this.pending = requestAnimationFrame((now) => {
      this.pending = 0;
      this.draw(now);
    });
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST_MS);
  }

  pointSize() {
    const { count } = this.points;
    const base = count < 2500 ? 8 : count < 12000 ? 5.5 : count < 50000 ? 4 : 3;
    return Math.min(base * this.camera.zoom ** 0.3, 16);
  }

  rest() {
    if (this.moving) {
      this.moving = false;
      this.lastFrame = 0;
      this.draw();
    }
    this.placePhotos();
  }

  adapt(now) {
    const took = this.lastFrame ? now - this.lastFrame : 0;
    this.lastFrame = now;
    if (took > SLOW_MS) this.share = Math.max(this.share * 0.7, Math.min(1, MIN_POINTS / this.points.count));
    else if (took > 0 && took < QUICK_MS) this.share = Math.min(this.share * 1.3, 1);
  }

  draw(now) {
    if (!this.points) return;
    if (this.moving) this.adapt(now);
    this.painter.draw(this.camera, this.pointSize(), this.parts, this.moving ? this.share : 1);
    this.drawInk();
    for (const [point, picture] of this.pictures) this.put(picture, point);
    this.frame.dataset.drawn = Number(this.frame.dataset.drawn || 0) + 1;
  }

  put(picture, point) {
    const [x, y] = this.camera.project(this.points.places, point);
    picture.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
  }

  drawInk() {
    const context = this.ink.getContext("2d");
    const ratio = this.ink.width / this.camera.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.camera.width, this.camera.height);
    const style = getComputedStyle(this.frame);
    if (this.current >= 0) {
      const [x, y] = this.camera.project(this.points.places, this.current);
      context.lineWidth = 2.5;
      context.strokeStyle = style.color;
      context.beginPath();
      context.arc(x, y, this.pointSize() / 2 + 4, 0, 2 * Math.PI);
      context.stroke();
    }
    if (this.lasso && this.lasso.length > 1) {
      const color = style.getPropertyValue("--st-primary-color").trim() || "#0c6f62";
      context.beginPath();
      this.lasso.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.globalAlpha = 0.14;
      context.fillStyle = color;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 2;
      context.setLineDash([6, 4]);
      context.strokeStyle = color;
      context.stroke();
      context.setLineDash([]);
    }
  }

  // --- photos on the map ---

  async placePhotos() {
    if (!this.points || !this.root.isConnected) return;
    const { keys, places, codes } = this.points;
    const chosen = [];
    if (this.showPhotos) {
      const taken = [];
      const { width, height } = this.camera;
      for (const point of this.priority) {
        if (this.isFaint[point]) continue;
        const [x, y] = this.camera.project(places, point);
        if (x < 20 || y < 20 || x > width - 20 || y > height - 20) continue;
        if (taken.some(([tx, ty]) => Math.hypot(tx - x, ty - y) < PHOTO_GAP_PX)) continue;
        taken.push([x, y]);
        chosen.push(point);
        if (chosen.length >= MAX_PHOTOS) break;
      }
    }
    const kept = new Set(chosen);
    for (const [point, picture] of this.pictures) {
      if (kept.has(point) && picture.dataset.key === String(keys[point])) continue;
      picture.remove();
      this.pictures.delete(point);
    }
    await this.learn(chosen.map((point) => keys[point]));
    if (this.points.keys !== keys) return;
    for (const point of chosen) {
      const photo = this.known.get(keys[point]);
      let picture = this.pictures.get(point);
      if (!picture && photo) {
        picture = element("img", { src: photo.thumbnail, alt: "", "data-key": keys[point], draggable: "false" });
        picture.onload = () => picture.classList.add("there");
        picture.onerror = () => picture.remove();
        this.pictures.set(point, picture);
        this.photos.append(picture);
      }
      if (!picture) continue;
      picture.style.setProperty("--ring", css(this.colorOf(codes[point])));
      this.put(picture, point);
    }
  }

  // Fetch the photos of keys that are not known yet; requests may overlap.
  async learn(keys) {
    const missing = keys.filter((key) => !this.known.has(key));
    if (!missing.length) return;
    try {
      const answer = await fetch(`${this.data.endpoint}/photos?${missing.map((key) => `key=${key}`).join("&")}`);
      if (answer.ok) for (const photo of (await answer.json()).photos) this.known.set(photo.key, photo);
    } catch {
      // the points are shown without photos
    }
  }

  // --- pointing ---

  within(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  nearest(x, y, reach) {
    if (!this.points) return -1;
    const { count, places } = this.points;
    for (const point of this.pictures.keys()) {
      const [px, py] = this.camera.project(places, point);
      if (Math.abs(px - x) < 24 && Math.abs(py - y) < 24) return point;
    }
    let [best, found] = [reach * reach, -1];
    for (let point = 0; point < count; point += 1) {
      if (this.isFaint[point]) continue;
      const [px, py, w] = this.camera.project(places, point);
      const distance = (px - x) ** 2 + (py - y) ** 2 + (w - 1) * 20; // in three dimensions: the point in front
      if (distance < best) [best, found] = [distance, point];
    }
    return found;
  }

  // Show the card of a photo: beside it, or (`docked`, for touch) at the lower edge.
  async pointAt(point, { docked = false, byKeys = false } = {}) {
    this.docked = docked && point >= 0;
    this.byKeys = byKeys;
    this.canvas.classList.toggle("over", point >= 0 && !docked);
    if (point === this.current && (point < 0 || !this.card.hidden)) return;
    this.current = point;
    this.card.hidden = true;
    this.changed();
    if (point < 0) return;
    const key = this.points.keys[point];
    await this.learn([key]);
    if (this.current !== point || this.points.keys[point] !== key) return;
    const photo = this.known.get(key);
    if (!photo) return;
    const button = element("button", { type: "button" }, "Find similar items");
    button.onclick = () => this.open(point);
    const line = captionOf(photo, this.data.columns);
    const image = element("img", { src: photo.image, alt: "" });
    this.card.replaceChildren(image, element("strong", {}, photo.title), element("div", { class: "line" }, line), button);
    this.card.classList.toggle("docked", this.docked);
    this.card.hidden = false;
    this.spoken.textContent = byKeys ? `${photo.title}. ${line}` : "";
    if (!this.docked) this.placeCard(point);
  }

  placeCard(point) {
    const [x, y] = this.camera.project(this.points.places, point);
    const { offsetWidth: wide, offsetHeight: high } = this.card;
    const left = x + 18 + wide > this.camera.width ? x - 18 - wide : x + 18;
    const top = Math.min(Math.max(y - high / 2, 8), this.camera.height - high - 8);
    this.card.style.transform = `translate(${Math.max(left, 8)}px, ${Math.max(top, 8)}px)`;
  }

  open(point) {
    const key = this.points.keys[point];
    this.frame.setAttribute("aria-busy", "true");
    this.outbox.add({ action: "open", keys: [key], found: 1 });
  }

  // --- mouse and touch ---

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.within(event);
    this.fingers.set(event.pointerId, { at, from: at, moved: false });
    if (this.lassoing && this.fingers.size === 1) this.lasso = [at];
    if (this.fingers.size === 2) this.lasso = null;
    this.pinch = null;
  }

  move(event) {
    const at = this.within(event);
    const finger = this.fingers.get(event.pointerId);
    if (!finger) {
      if (event.pointerType !== "touch" && !this.lassoing) this.hover(at);
      return;
    }
    const [dx, dy] = [at[0] - finger.at[0], at[1] - finger.at[1]];
    finger.at = at;
    if (!finger.moved && Math.hypot(at[0] - finger.from[0], at[1] - finger.from[1]) < CLICK_PX) return;
    finger.moved = true;
    if (this.fingers.size === 2) {
      this.pinched(dx, dy);
    } else if (this.lasso) {
      this.lasso.push(at);
      this.changed();
    } else {
      this.canvas.classList.add("dragging");
      if (!this.docked) this.pointAt(-1);
      const turns = this.camera.depth && !event.shiftKey && event.buttons !== 2;
      if (turns) this.camera.orbit(dx, dy);
      else this.camera.pan(dx, dy);
      this.moved();
    }
  }

  pinched(dx, dy) {
    const [a, b] = [...this.fingers.values()].map((finger) => finger.at);
    const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (this.pinch) this.camera.zoomBy(apart / Math.max(this.pinch, 1), (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    this.camera.pan(dx / 2, dy / 2);
    this.pinch = apart;
    this.moved();
  }

  hover(at) {
    this.hoverAt = at;
    if (this.hovering) return;
    this.hovering = requestAnimationFrame(() => {
      this.hovering = 0;
      this.pointAt(this.nearest(...this.hoverAt, REACH_PX));
    });
  }

  up(event) {
    const finger = this.fingers.get(event.pointerId);
    this.fingers.delete(event.pointerId);
    this.pinch = null;
    this.canvas.classList.remove("dragging");
    if (!finger) return;
    if (this.lasso) {
      const drawn = this.lasso;
      this.lasso = null;
      this.setLasso(false);
      if (drawn.length > 2) this.select(drawn);
      this.changed();
      return;
    }
    if (finger.moved || this.fingers.size || event.button > 0) return;
    const touch = event.pointerType === "touch";
    const point = this.nearest(...finger.at, touch ? FINGER_PX : REACH_PX);
    if (touch) this.pointAt(point, { docked: true });
    else if (point >= 0) this.open(point);
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.lasso = null;
    this.pinch = null;
    this.changed();
  }

  // --- selection ---

  setLasso(on) {
    this.lassoing = on;
    this.canvas.classList.toggle("lasso", on);
    this.buttons.lasso.setAttribute("aria-pressed", String(on));
    if (on) this.pointAt(-1);
  }

  select(outline) {
    const { keys, places, count } = this.points;
    const xs = outline.map(([x]) => x);
    const ys = outline.map(([, y]) => y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const inside = [];
    for (let point = 0; point < count; point += 1) {
      if (this.isolated.size && !this.isolated.has(this.points.codes[point])) continue;
      const [x, y] = this.camera.project(places, point);
      if (x >= left && x <= right && y >= top && y <= bottom && isInside(x, y, outline)) inside.push(keys[point]);
    }
    this.choose(inside);
  }

  choose(keys) {
    this.selected = new Set(keys);
    this.repaint();
    this.spoken.textContent = `${keys.length} photos selected`;
    if (keys.length) this.outbox.add({ action: "lasso", keys: keys.slice(0, this.data.max_selected), found: keys.length });
  }

  // --- keys and buttons ---

  zoom(factor) {
    const at = this.current >= 0 ? this.camera.project(this.points.places, this.current) : [];
    this.camera.zoomBy(factor, at[0], at[1]);
    this.changed();
    if (this.current >= 0 && !this.docked) this.placeCard(this.current);
  }

  goHome() {
    this.camera.home(this.points?.dimensions || 2);
    this.changed();
  }

  setPhotos(on) {
    this.showPhotos = on;
    this.buttons.photos.setAttribute("aria-pressed", String(on));
    this.placePhotos();
  }

  key(event) {
    if (!this.points || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step && event.shiftKey) {
      if (this.camera.depth) this.camera.orbit(step[0] * 18, step[1] * 18);
      else this.camera.pan(-step[0] * 60, -step[1] * 60);
      this.changed();
    } else if (step) {
      this.step(...step);
    } else if (event.key === "Enter" && this.current >= 0) {
      this.open(this.current);
    } else if (event.key === "Escape") {
      this.setLasso(false);
      this.pointAt(-1);
    } else if ("+=".includes(event.key)) {
      this.zoom(1.5);
    } else if (event.key === "-") {
      this.zoom(1 / 1.5);
    } else if (event.key === "0" || event.key === "Home") {
      this.goHome();
    } else if (event.key.toLowerCase() === "l") {
      this.setLasso(!this.lassoing);
    } else if (event.key.toLowerCase() === "p") {
      this.setPhotos(!this.showPhotos);
    } else {
      return;
    }
    event.preventDefault();
  }

  // Move to the nearest photo in that direction.
  step(dx, dy) {
    const { places, count } = this.points;
    if (this.current < 0) {
      this.pointAt(this.nearest(this.camera.width / 2, this.camera.height / 2, Infinity), { byKeys: true });
      return;
    }
    const [x, y] = this.camera.project(places, this.current);
    let [best, found] = [Infinity, -1];
    for (let point = 0; point < count; point += 1) {
      if (point === this.current || this.isFaint[point]) continue;
      const [px, py] = this.camera.project(places, point);
      const ahead = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      const cost = ahead + 2 * aside;
      if (ahead > 1 && aside <= ahead && cost < best) [best, found] = [cost, point];
    }
    if (found < 0) return;
    const [px, py] = this.camera.project(places, found);
    const [edgeX, edgeY] = [Math.min(80, this.camera.width / 4), Math.min(80, this.camera.height / 4)];
    this.camera.pan(
      Math.min(0, this.camera.width - edgeX - px) + Math.max(0, edgeX - px),
      Math.min(0, this.camera.height - edgeY - py) + Math.max(0, edgeY - py),
    );
    this.pointAt(found, { byKeys: true });
  }
}

// The first values of a photo that its title does not contain.
function captionOf(photo, columns) {
  const values = columns.map((column) => photo.metadata[column]).filter((value) => value !== undefined && value !== null && value !== "");
  const said = photo.title.toLowerCase();
  return values.map(String).filter((value) => !said.includes(value.toLowerCase())).slice(0, 3).join(" · ");
}

function sidesOf({ places, count }) {
  const [low, high] = [[65535, 65535], [0, 0]];
  for (let point = 0; point < count; point += 1) {
    for (const axis of [0, 1]) {
      low[axis] = Math.min(low[axis], places[4 * point + axis]);
      high[axis] = Math.max(high[axis], places[4 * point + axis]);
    }
  }
  return [0, 1].map((axis) => Math.max((high[axis] - low[axis]) / 65535, 0.05));
}

// Whether a point is inside an outline, by the even-odd rule.
function isInside(x, y, outline) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i, i += 1) {
    const [xi, yi] = outline[i];
    const [xj, yj] = outline[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const outbox = parentElement.outbox || (parentElement.outbox = new Outbox(parentElement));
  outbox.connect(setTriggerValue, data.handled);
  const view = parentElement.view || (parentElement.view = new MapView(parentElement, outbox));
  if (!outbox.waiting.length) view.frame.removeAttribute("aria-busy");
  view.update(data);
  // No clean-up: Streamlit would call it before every redraw too, and the camera would be lost.
}
