// The merchandiser's table: a window on all items of the catalog, to search, sort, select and edit. Rows come from
// `GET /api/v1/items`; every change is sent to Python as one event (see events.js), whose outcome comes back in `data`.

const ICONS = {
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.3 15.3 20 20",
  filter: "M4 6h16M7 12h10M10 18h4",
  columns: "M4 5h16v14H4zM10 5v14M15 5v14",
  close: "M6 6l12 12M18 6 6 18",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  reread: "M19 8a8 8 0 1 0 1 6M20 4v5h-5",
  remove: "M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  similar: "M4 4h7v7H4zM13 13h7v7h-7zM16.5 4.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M7.5 13.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  sort: "M8 5v14M4 15l4 4 4-4M16 19V5M12 9l4-4 4 4",
  more: "M12 6v.01M12 12v.01M12 18v.01",
  missing: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M4 4l16 16",
};
const CARDS_BELOW_PX = 680;
const SEARCH_DELAY_MS = 250;
const REFRESH_MS = 6000;
const TOLD_S = 3;
const KEPT_COLUMNS = "imgsearch desk columns";
const WIDTHS = { number: "7.5rem", price: "8rem", boolean: "7rem", date: "8.5rem", datetime: "11rem", time: "7rem", list: "12rem", text: "10.5rem" };

const icon = (name) => svgIcon(ICONS[name]);

const counted = (count) => `${count.toLocaleString()} ${count === 1 ? "item" : "items"}`;

class Desk {
  constructor(root) {
    this.root = root;
    this.selection = new Selection();
    this.query = { search: "", filters: [], sort: "" };
    this.active = { row: 0, column: 0 };
    this.saving = new Map(); // "id column" of cells whose change is on its way, by the event's id
    this.failed = new Map(); // cells whose change was refused: the sentence and the text
    this.seen = new Set();
    this.build();
    this.rows = new RowView(this, this.scroller, this.canvas);
    this.scroll = this.rows.scroll;
    this.outbox = new Outbox(root);
    new ResizeObserver(() => this.resize()).observe(this.frame);
    this.timer = setInterval(() => this.tick(), REFRESH_MS);
  }

  // --- the parts of the page -------------------------------------------------------------------------------------

  build() {
    this.input = element("input", { type: "search", placeholder: "Title, id or any text", "aria-label": "Search the items", autocomplete: "off", spellcheck: "false", maxlength: "400" });
    this.input.oninput = () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.searchFor(this.input.value.trim()), SEARCH_DELAY_MS);
    };
    this.input.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") {
        event.preventDefault();
        clearTimeout(this.typing);
        this.searchFor(this.input.value.trim());
        if (event.key === "ArrowDown") this.focus(0, this.active.column);
      }
    };
    const filter = this.filterButton = button([icon("filter"), element("span", {}, "Filter")], "plain tool", () => filterDialog(this.root, this.filterable(), filter, (found) => this.addFilter(found)), { "aria-haspopup": "dialog" });
    const columns = button([icon("columns"), element("span", {}, "Columns")], "plain tool columns", () => columnsDialog(this.root, this.optional(), this.chosen, columns, (names) => this.choose(names)), { "aria-haspopup": "dialog" });
    this.order = element("select", { class: "field order", "aria-label": "Sort by" });
    this.order.onchange = () => this.sortBy(this.order.value);
    this.total = element("p", { class: "total", role: "status" });
    this.tools = element("div", { class: "tools" }, element("div", { class: "search" }, icon("search"), this.input), filter, columns, this.order, this.total);
    this.chips = element("ul", { class: "chips", "aria-label": "Filters" });
    this.bar = element("div", { class: "bar", role: "region", "aria-label": "Selected items", hidden: true });
    this.head = element("div", { role: "row", class: "row head", "aria-rowindex": "1" });
    this.canvas = element("div", { role: "rowgroup", class: "canvas" });
    this.scroller = element("div", { class: "scroller", role: "grid", "aria-label": "Items", "aria-multiselectable": "true" }, element("div", { role: "rowgroup", class: "top" }, this.head), this.canvas);
    this.message = element("div", { class: "empty", hidden: true });
    this.note = element("p", { class: "visually-hidden", role: "status" });
    this.toasts = new Toasts((token) => this.undo(token));
    this.frame = element("div", { class: "frame" }, this.tools, this.chips, this.bar, element("div", { class: "sheet" }, this.scroller, this.message), this.note, this.toasts.node);
    this.root.append(this.frame);
    this.scroller.onscroll = () => {
      this.scroll.moved();
      this.draw();
    };
    this.scroller.onclick = (event) => this.clicked(event);
    this.scroller.ondblclick = (event) => {
      const cell = event.target.closest("[role=gridcell]");
      if (cell && !event.target.closest("input, select, textarea, button")) this.edit(Number(cell.parentElement.dataset.row), Number(cell.dataset.column));
    };
    this.scroller.onkeydown = (event) => this.pressed(event);
    this.scroller.addEventListener("focusin", (event) => {
      const cell = event.target.closest("[role=gridcell]");
      if (cell) this.activate(Number(cell.parentElement.dataset.row), Number(cell.dataset.column));
    });
  }

  // --- what Python sends -----------------------------------------------------------------------------------------

  receive(data, setTriggerValue) {
    this.data = data;
    this.editable = data.editable;
    this.columns = data.columns;
    this.searchAddress = data.search_address;
    this.outbox.connect(setTriggerValue, data.handled);
    if (!this.pages) {
      // The table was on the page before: it has told these.
      data.outcomes.filter((each) => each.age_s > TOLD_S).forEach((each) => this.seen.add(each.event));
      this.pages = new Pages(data.endpoint, () => this.loaded());
      this.chosen = this.keptColumns();
      this.pages.ask(this.query);
      if (this.editable) watchDrops(this.root, this.frame, (text) => this.toasts.show(text, "", true));
    }
    const shown = JSON.stringify([this.columns, this.chosen, this.editable]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.layout();
    }
    for (const outcome of data.outcomes) this.learn(outcome);
    if (data.history && this.opened?.id === data.history.item_id) this.opened.history(data.history.changes);
    if (this.version !== undefined && this.version !== data.version) this.refresh();
    this.version = data.version;
    this.filterButton.disabled = this.filterable().length === 0;
    this.drawBar();
  }

  learn(outcome) {
    if (this.seen.has(outcome.event)) return;
    this.seen.add(outcome.event);
    const cell = this.saving.get(outcome.event);
    this.saving.delete(outcome.event);
    if (cell) {
      if (outcome.problem) this.failed.set(cell.name, { problem: outcome.problem, text: cell.text });
      else this.failed.delete(cell.name);
    }
    if (this.opened) {
      this.opened.say(outcome.problem || outcome.done, Boolean(outcome.problem));
      if (!outcome.problem) this.askHistory(this.opened.id);
    }
    if (outcome.cleared) this.selection.clear();
    if (outcome.undo) this.lastUndo = outcome.undo;
    // An open panel has told it already, and covers messages.
    const isTold = this.opened || (outcome.problem && cell);
    if (!isTold && (outcome.problem || outcome.done)) this.toasts.show(outcome.problem || outcome.done, outcome.undo, Boolean(outcome.problem));
    this.refresh();
    this.redraw();
  }

  // Load the rows again; after the edit of a cell, where one is under way: its row may move.
  refresh() {
    this.isStale = Boolean(this.canvas.querySelector(".editor"));
    if (!this.isStale) this.pages.refresh();
  }

  send(event) {
    this.outbox.add(event);
    return this.outbox.waiting[this.outbox.waiting.length - 1].id;
  }

  // --- columns ---------------------------------------------------------------------------------------------------

  optional() {
    return this.columns.filter((column) => !column.title);
  }

  filterable() {
    return this.columns.filter((column) => column.source === "metadata");
  }

  editableColumns() {
    return this.columns.filter((column) => column.editable);
  }

  keptColumns() {
    const first = this.optional().filter((column) => column.first).map((column) => column.name);
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT_COLUMNS));
      const known = Array.isArray(kept) ? this.optional().map((column) => column.name).filter((name) => kept.includes(name)) : [];
      return known.length > 0 ? known : first;
    } catch {
      return first;
    }
  }

  choose(names) {
    this.chosen = names;
    try {
      localStorage.setItem(KEPT_COLUMNS, JSON.stringify(names));
    } catch {
      // Storage is full or forbidden: the choice holds for this page.
    }
    this.layout();
  }

  get cards() {
    return this.frame.clientWidth < CARDS_BELOW_PX;
  }

  layout() {
    const title = this.columns.find((column) => column.title);
    const rest = this.chosen.map((name) => this.columns.find((column) => column.name === name)).filter(Boolean);
    this.cells = [{ part: "check" }, { part: "photo" }, { part: "title", column: title }, ...rest.map((column) => ({ part: "value", column }))];
    const isCards = this.cards;
    if (isCards) this.cells = [{ part: "check" }, { part: "card" }];
    this.frame.dataset.mode = isCards ? "cards" : "table";
    const widths = rest.map((column) => WIDTHS[column.kind] || WIDTHS.text);
    this.frame.style.setProperty("--columns", isCards ? "3rem minmax(0, 1fr)" : ["2.9rem", "4.2rem", "minmax(17rem, 1fr)", ...widths].join(" "));
    this.scroller.setAttribute("aria-colcount", String(this.cells.length));
    this.active.column = Math.min(this.active.column, this.cells.length - 1);
    this.drawHead();
    this.drawOrder();
    this.rows.clear();
    this.resize();
  }

  resize() {
    if (!this.cells) return;
    if ((this.frame.dataset.mode === "cards") !== this.cards) {
      this.layout();
      return;
    }
    this.scroll.resize(this.pages?.total || 0, this.cards ? CARD_PX : ROW_PX, this.cards ? 0 : this.head.offsetHeight);
    this.draw();
  }

  // --- drawing ---------------------------------------------------------------------------------------------------

  drawHead() {
    const focused = this.root.getRootNode().activeElement;
    const focusedPlace = [...this.head.children].findIndex((node) => node.contains(focused));
    this.head.replaceChildren(...this.cells.map((cell, place) => {
      const node = element("div", { role: "columnheader", class: `cell ${cell.part} ${cell.column?.kind || ""}`, "aria-colindex": String(place + 1) });
      if (cell.part === "check") {
        node.append(element("span", { class: "visually-hidden" }, "Selected"));
        this.every = element("input", { type: "checkbox", "aria-label": "Select all items of this list" });
        this.every.onchange = () => this.selectAll(this.every.checked);
        if (this.editable) node.append(this.every);
      } else if (cell.part === "photo" || cell.part === "card") {
        node.append(element("span", { class: "visually-hidden" }, cell.part === "photo" ? "Photo" : "Item"));
      } else if (cell.column) {
        const [name, down] = this.sorted();
        const isSorted = name === cell.column.sort;
        node.setAttribute("aria-sort", isSorted ? (down ? "descending" : "ascending") : "none");
        node.append(button([element("span", {}, cell.column.label), icon(isSorted ? (down ? "down" : "up") : "sort")], `sort${isSorted ? " on" : ""}`, () => this.sortBy(this.nextSort(cell.column.sort)), { title: `Sort by ${cell.column.label}` }));
      }
      return node;
    }));
    if (focusedPlace >= 0) this.head.children[focusedPlace]?.querySelector("button, input")?.focus({ preventScroll: true });
  }

  drawOrder() {
    const pairs = this.columns.flatMap((column) => [[column.sort, `${column.label} ↑`], [`-${column.sort}`, `${column.label} ↓`]]);
    this.order.replaceChildren(...options([["", "As added"], ...pairs]));
    this.order.value = this.query.sort;
  }

  drawChips() {
    this.chips.replaceChildren(...this.query.filters.map((filter) => {
      const remove = button(icon("close"), "icon tiny", () => this.removeFilter(filter), { "aria-label": `Remove the filter ${filter.label}`, title: "Remove" });
      return element("li", { class: "chip" }, element("span", {}, filter.label), remove);
    }));
    if (this.query.filters.length > 1) {
      this.chips.append(element("li", {}, button("Clear filters", "plain small", () => {
        this.query = { ...this.query, filters: [] };
        this.requery();
        this.input.focus();
      })));
    }
  }

  drawBar() {
    const count = this.selection.count(this.pages?.total);
    this.bar.hidden = count === 0 || !this.editable;
    if (this.every) {
      this.every.checked = count > 0 && count === this.pages?.total;
      this.every.indeterminate = count > 0 && count !== this.pages?.total;
    }
    const drawn = JSON.stringify([count, this.pages?.total, this.selection.all]);
    if (this.bar.hidden || this.bar.dataset.drawn === drawn) return;
    this.bar.dataset.drawn = drawn;
    const nodes = [element("p", { class: "selected", role: "status" }, this.cards ? `${count.toLocaleString()} selected` : `${counted(count)} selected`)];
    if (!this.selection.all && count < this.pages.total) nodes.push(button(`Select all ${this.pages.total.toLocaleString()}`, "link", () => this.selectAll(true)));
    // The name is also a label: on a phone only the sign is shown.
    const tool = (sign, name, css, act) => button([icon(sign), element("span", {}, name)], `plain${css}`, act, { "aria-label": name, title: name });
    nodes.push(element("span", { class: "space" }));
    if (this.editableColumns().length > 0) nodes.push(
      tool("edit", "Edit a column", "", () => bulkDialog(this.root, this.editableColumns(), count, (column, value) => this.send({ kind: "bulk_edit", ...this.chosenItems(), column, value }))),
    );
    nodes.push(
      tool("reread", "Read the photos again", "", () => this.send({ kind: "reread", ...this.chosenItems() })),
      tool("remove", "Delete", " dangerous", () => this.remove(this.chosenItems())),
      button(icon("close"), "icon", () => {
        this.selection.clear();
        this.redraw();
        this.focus(this.active.row, 0);
      }, { "aria-label": "Clear the selection", title: "Clear the selection (Esc)" }),
    );
    this.bar.replaceChildren(...nodes);
  }

  chosenItems() {
    const { all, ids } = this.selection;
    const { search, filters } = this.query;
    return { all, ids: [...ids], count: this.selection.count(this.pages.total), search: all ? search : "", filters: all ? filters.map((each) => each.text) : [] };
  }

  draw() {
    if (!this.pages || !this.cells) return;
    const total = this.pages.total || 0;
    this.rows.draw(total);
    this.scroller.setAttribute("aria-rowcount", String(total + 1));
    this.scroller.toggleAttribute("data-scrolled", this.scroller.scrollTop + this.scroll.offset > 0);
  }

  loaded() {
    const { total, problem } = this.pages;
    if (total !== null) {
      this.total.textContent = this.query.search || this.query.filters.length > 0 ? `${counted(total)} found` : counted(total);
      if (this.active.row >= total) this.active.row = Math.max(0, total - 1);
      this.follow();
    }
    this.scroller.setAttribute("aria-busy", String(total === null));
    this.drawMessage(total, problem);
    this.resize();
    this.drawBar();
    if (this.opened) this.opened.update();
    this.frame.dataset.ready = total === null ? "" : "yes";
  }

  // Where a change has moved the active item in the order, the focus moves with it.
  follow() {
    const { row, column } = this.active;
    const now = this.pages.row(row);
    const isFocused = this.rows.cell(row, column) === this.root.getRootNode().activeElement;
    const moved = this.activeId && now && now.item_id !== this.activeId ? this.pages.find(this.activeId) : -1;
    if (moved >= 0 && isFocused) setTimeout(() => this.focus(moved, column));
    else this.activeId = now?.item_id;
  }

  drawMessage(total, problem) {
    this.message.hidden = !(problem && total === null) && total !== 0;
    this.scroller.hidden = !this.message.hidden;
    if (problem && total !== null && problem !== this.told) this.toasts.show(problem, "", true);
    this.told = problem;
    if (this.message.hidden) return;
    const lostFocus = !this.root.getRootNode().activeElement;
    if (lostFocus && this.frame.dataset.ready && document.activeElement === document.body) this.input.focus();
    if (problem) {
      this.message.replaceChildren(element("h2", {}, "The items cannot be shown"), element("p", {}, problem), button("Try again", "primary", () => this.pages.ask({ ...this.query })));
    } else if (this.query.search || this.query.filters.length > 0) {
      this.message.replaceChildren(element("h2", {}, "No item matches"), element("p", {}, "Try fewer words, or remove a filter."), button("Show all items", "primary", () => this.showAll()));
    } else {
      this.message.replaceChildren(element("h2", {}, "No items yet"), element("p", {}, this.editable ? "Drop photos, or a table with your products, on “Import”." : "The catalog is empty."));
    }
  }

  redraw() {
    this.rows.version += 1;
    this.draw();
    this.drawBar();
  }

  // --- searching, sorting, filtering -----------------------------------------------------------------------------

  sorted() {
    const down = this.query.sort.startsWith("-");
    return [down ? this.query.sort.slice(1) : this.query.sort, down];
  }

  nextSort(name) {
    const [now, down] = this.sorted();
    if (now !== name) return name;
    return down ? "" : `-${name}`;
  }

  sortBy(sort) {
    this.query = { ...this.query, sort };
    this.requery(false);
    const [name, down] = this.sorted();
    const column = this.columns.find((each) => each.sort === name);
    this.note.textContent = column ? `Sorted by ${column.label}, ${down ? "descending" : "ascending"}.` : "In the order of adding.";
  }

  searchFor(words) {
    if (words === this.query.search) return;
    this.query = { ...this.query, search: words };
    this.requery();
  }

  addFilter(filter) {
    this.query = { ...this.query, filters: [...this.query.filters.filter((each) => each.text !== filter.text), filter] };
    this.requery();
  }

  removeFilter(filter) {
    this.query = { ...this.query, filters: this.query.filters.filter((each) => each !== filter) };
    this.requery();
    this.input.focus();
  }

  showAll() {
    this.input.value = "";
    this.query = { ...this.query, search: "", filters: [] };
    this.requery();
    this.input.focus();
  }

  requery(clears = true) {
    if (clears) this.selection.clear();
    this.selection.from = null; // a position in the list before
    this.active.row = 0;
    this.scroller.scrollTop = 0;
    this.scroll.to(0);
    this.failed.clear();
    const { search, sort } = this.query;
    this.pages.ask({ search, sort, filters: this.query.filters.map((each) => each.text) });
    this.drawHead();
    this.order.value = this.query.sort;
    this.drawChips();
    this.redraw();
  }

  // Others change the catalog too.
  tick() {
    if (!this.frame.isConnected) {
      clearInterval(this.timer);
      return;
    }
    const isBusy = document.hidden || this.saving.size > 0 || this.canvas.querySelector(".editor") || this.pages?.running.size > 0;
    if (this.pages && !isBusy) this.pages.refresh();
  }

  // --- selecting -------------------------------------------------------------------------------------------------

  selectAll(on) {
    this.selection.clear();
    if (on) this.selection.chooseAll();
    this.redraw();
  }

  // Select a row; with `range`, all loaded rows from the last one selected.
  select(row, on, range) {
    const from = range && this.selection.from !== null ? this.selection.from : row;
    let skipped = 0;
    for (let each = Math.min(from, row); each <= Math.max(from, row); each += 1) {
      const item = this.pages.row(each);
      if (item) this.selection.set(item.item_id, on);
      else skipped += 1;
    }
    if (skipped > 0) this.toasts.show(`${counted(skipped)} of this range ${skipped === 1 ? "is" : "are"} not loaded and ${skipped === 1 ? "was" : "were"} left out; filter the list and select all of it.`, "", true);
    this.selection.from = row;
    this.redraw();
  }

  clicked(event) {
    const cell = event.target.closest("[role=gridcell]");
    if (!cell) return;
    const row = Number(cell.parentElement.dataset.row);
    const item = this.pages.row(row);
    const part = this.cells[Number(cell.dataset.column)]?.part;
    if (!item || event.target.closest(".editor")) return;
    if (part === "check" && this.editable) {
      const box = cell.querySelector("input");
      const on = event.target === box ? box.checked : !box.checked;
      this.select(row, on, event.shiftKey);
      this.focus(row, 0);
    } else if (part === "photo" || part === "card") {
      this.focus(row, Number(cell.dataset.column));
      this.open(item);
    } else if (event.shiftKey && this.editable) {
      this.select(row, true, true);
    }
  }

  // --- the keyboard ----------------------------------------------------------------------------------------------

  activate(row, column) {
    this.activeId = this.pages?.row(row)?.item_id;
    if (row === this.active.row && column === this.active.column) return;
    const before = this.rows.cell(this.active.row, this.active.column);
    if (before) before.tabIndex = -1;
    this.active = { row, column };
    const now = this.rows.cell(row, column);
    if (now) now.tabIndex = 0;
  }

  focus(row, column) {
    if (!this.pages?.total) return;
    const wanted = Math.max(0, Math.min(row, this.pages.total - 1));
    this.activate(wanted, Math.max(0, Math.min(column, this.cells.length - 1)));
    this.scroll.show(wanted);
    this.draw();
    const cell = this.rows.cell(this.active.row, this.active.column);
    cell?.focus({ preventScroll: true });
    if (cell && !this.cards) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  pressed(event) {
    if (event.target.closest(".editor") || !event.target.closest("[role=gridcell]")) return;
    const { row, column } = this.active;
    const item = this.pages.row(row);
    const control = event.ctrlKey || event.metaKey;
    const page = Math.max(1, Math.floor(this.scroll.viewPx / this.scroll.rowPx) - 1);
    const ways = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      PageDown: [row + page, column], PageUp: [row - page, column],
      Home: control ? [0, 0] : [row, 0], End: control ? [this.pages.total - 1, this.cells.length - 1] : [row, this.cells.length - 1],
    };
    const way = ways[event.key];
    if (way) {
      event.preventDefault();
      const extends_ = event.shiftKey && this.editable && (event.key === "ArrowDown" || event.key === "ArrowUp");
      if (extends_ && item) {
        if (this.selection.from === null) this.selection.from = row;
        this.selection.set(item.item_id, true);
      }
      this.focus(...way);
      if (extends_) this.select(this.active.row, true, false);
      return;
    }
    this.command(event, row, column, item, control);
  }

  command(event, row, column, item, control) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { part } = this.cells[column];
    if (control && key === "a" && this.editable) this.selectAll(true);
    else if (control && key === "z" && this.lastUndo && this.editable) this.undo(this.lastUndo);
    else if (control || event.altKey) return;
    else if (key === " " && this.editable && item) this.select(row, !this.selection.has(item.item_id), event.shiftKey);
    else if (key === "Escape" && this.selection.count(this.pages.total) > 0) this.selectAll(false);
    else if (key === "Delete" && this.editable && this.selection.count(this.pages.total) > 0) this.remove(this.chosenItems());
    else if ((key === "Enter" || key === "F2") && item) {
      if (part === "photo" || part === "card" || part === "check") this.open(item);
      else if (!this.edit(row, column)) this.open(item);
    } else return;
    event.preventDefault();
  }

  // --- changing --------------------------------------------------------------------------------------------------

  latest(item) {
    const place = this.pages.find(item.item_id);
    return place >= 0 ? this.pages.row(place) : item;
  }

  // Put a field into a cell; returns false where it cannot be edited.
  edit(row, place) {
    const item = this.pages.row(row);
    const { column } = this.cells[place] || {};
    const cell = this.rows.cell(row, place);
    if (!item || !cell || !column?.editable || !this.editable) return false;
    const name = cellName(item.item_id, column.name);
    const refused = this.failed.get(name);
    const before = editedText(column, item.metadata);
    const field = valueField(column, refused ? refused.text : before, `${column.label} of ${item.title}`);
    const why = element("span", { class: "why", role: "alert" }, refused?.problem || "");
    const shown = field.value;
    cell.replaceChildren(element("div", { class: "editor" }, field, why));
    cell.classList.add("editing");
    let ended = false;
    const end = (saves) => {
      if (ended) return true;
      const text = field.value.trim();
      why.textContent = saves ? whyNot(column, text) : "";
      field.setAttribute("aria-invalid", String(Boolean(why.textContent)));
      if (why.textContent) return false;
      ended = true;
      this.failed.delete(name);
      // A text that was not touched stays as it is, with its spaces and ends of lines.
      const isChanged = refused ? text !== before : field.value !== shown && text !== before;
      if (saves && isChanged) this.save(item, column, text);
      this.rows.renew(row);
      if (this.isStale) this.refresh();
      return true;
    };
    field.onkeydown = (event) => {
      event.stopPropagation();
      const isSave = event.key === "Enter" && !(event.shiftKey && field.tagName === "TEXTAREA");
      if (isSave || event.key === "Escape" || event.key === "Tab") {
        event.preventDefault();
        if (!end(event.key !== "Escape")) return;
        const next = event.key === "Tab" ? place + (event.shiftKey ? -1 : 1) : place;
        this.focus(row, next);
      }
    };
    field.onblur = () => {
      // The window has lost the focus: keep the edit open until it returns.
      if (!document.hasFocus() || end(true)) return;
      const problem = why.textContent;
      end(false);
      this.failed.set(name, { problem, text: field.value });
      this.rows.renew(row);
    };
    field.focus();
    field.select?.();
    return true;
  }

  save(item, column, text) {
    const id = this.send({ kind: "edit", item_id: item.item_id, column: column.name, value: text, etag: item.etag || "" });
    this.saving.set(id, { name: cellName(item.item_id, column.name), text });
    this.pages.change(item.item_id, { [column.name]: optimistic(column, text) });
    this.redraw();
  }

  remove(chosen, onDone = () => {}) {
    const text = "They leave the search at once. You can bring them back with Undo, here or in the history.";
    confirmDialog(this.root, `Delete ${counted(chosen.count)}?`, chosen.count === 1 ? text.replace("They leave", "It leaves").replace("them", "it") : text, `Delete ${counted(chosen.count)}`, () => {
      this.send({ kind: "delete", search: "", filters: [], ...chosen });
      onDone();
    });
  }

  reread(ids) {
    this.send({ kind: "reread", all: false, ids, count: ids.length, search: "", filters: [] });
  }

  undo(token) {
    const given = Array.isArray(token) ? { changes: token } : { token };
    this.send({ kind: "undo", ...given });
    this.lastUndo = null;
  }

  askHistory(id) {
    this.send({ kind: "history", item_id: id });
  }

  open(item) {
    itemDialog(this.root, this, item);
  }

}

const cellName = (id, column) => `${id}\n${column}`;

// What a cell shows while its change is on its way.
function optimistic(column, text) {
  if (!text) return null;
  if (column.kind === "boolean") return text === "true";
  if (column.kind === "number") return Number(text.replace(",", "."));
  if (column.kind === "price" && /^[\d.,]+( ?[A-Z]{3})?$/.test(text)) return Number.parseFloat(text.replace(",", "."));
  if (column.kind === "list") return text.split(",").map((each) => each.trim());
  return text;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const desk = parentElement.desk || (parentElement.desk = new Desk(parentElement));
  desk.receive(data, setTriggerValue);
  // No clean-up: Streamlit would call it before every redraw too. The timer ends when the table has left the page.
}
