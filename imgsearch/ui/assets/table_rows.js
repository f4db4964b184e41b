// The rows of the item table that are in view: made when they come into view, and drawn again when they change.

const ROW_PX = 64;
const CARD_PX = 92;
const EXTRA_ROWS = 8;

class RowView {
  constructor(desk, scroller, canvas) {
    this.desk = desk;
    this.canvas = canvas;
    this.scroll = new RowScroll(scroller, canvas);
    this.nodes = new Map();
    this.version = 0;
  }

  clear() {
    this.nodes.forEach((node) => node.remove());
    this.nodes.clear();
  }

  // Draw the rows in view, and the one with the focus.
  draw(total) {
    const [first, last] = this.scroll.range(EXTRA_ROWS);
    if (total > 0) this.desk.pages.want(first, last);
    for (const [row, node] of this.nodes) {
      const isKept = row === this.desk.active.row && node.contains(this.desk.root.getRootNode().activeElement);
      if ((row < first || row > last || row >= total) && !isKept) {
        node.remove();
        this.nodes.delete(row);
      }
    }
    for (let row = first; row <= last; row += 1) this.drawRow(row);
    for (const [row, node] of this.nodes) node.style.transform = `translateY(${this.scroll.top(row)}px)`;
  }

  cell(row, column) {
    return this.nodes.get(row)?.children[column];
  }

  // Draw a row again although its item is the same.
  renew(row) {
    const node = this.nodes.get(row);
    if (!node) return;
    node.querySelector(".editor")?.remove();
    node.version = -1;
    this.drawRow(row);
  }

  drawRow(row) {
    const item = this.desk.pages.row(row);
    const isSelected = Boolean(item) && this.desk.selection.has(item.item_id);
    let node = this.nodes.get(row);
    if (node && node.item === item && node.selected === isSelected && node.version === this.version) return;
    if (node?.querySelector(".editor")) return; // It is drawn again when the edit ends.
    const hadFocus = node?.contains(this.desk.root.getRootNode().activeElement);
    if (!node) {
      node = element("div", { role: "row", class: "row", "data-row": String(row), "aria-rowindex": String(row + 2) });
      this.nodes.set(row, node);
      this.place(node, row);
    }
    Object.assign(node, { item, selected: isSelected, version: this.version });
    node.setAttribute("aria-selected", String(isSelected));
    node.classList.toggle("loading", !item);
    node.replaceChildren(...this.desk.cells.map((cell, place) => this.cellNode(row, item, cell, place, isSelected)));
    if (hadFocus) this.cell(row, this.desk.active.column)?.focus({ preventScroll: true });
  }

  // In the order of the rows, which is that of screen readers.
  place(node, row) {
    let next = null;
    for (const other of this.canvas.children) {
      if (Number(other.dataset.row) > row) {
        next = other;
        break;
      }
    }
    this.canvas.insertBefore(node, next);
  }

  cellNode(row, item, cell, place, isSelected) {
    const isActive = row === this.desk.active.row && place === this.desk.active.column;
    const node = element("div", { role: "gridcell", class: `cell ${cell.part} ${cell.column?.kind || ""}`, "data-column": String(place), "aria-colindex": String(place + 1), tabindex: isActive ? "0" : "-1" });
    if (!item) {
      node.append(element("span", { class: "bone" }));
      return node;
    }
    if (cell.part === "check") {
      if (this.desk.editable) node.append(element("input", { type: "checkbox", checked: isSelected, tabindex: "-1", "aria-label": `Select ${item.title}` }));
    } else if (cell.part === "photo") {
      node.append(this.photo(item));
      node.setAttribute("aria-label", `Open ${item.title}`);
    } else if (cell.part === "card") {
      node.append(this.photo(item), element("div", { class: "words" }, element("b", {}, item.title), ...this.cardLines(item)), icon("more"));
    } else if (cell.part === "title") {
      node.append(element("span", { class: "name", title: item.title }, item.title), element("span", { class: "id", title: item.item_id }, item.item_id));
    } else {
      const text = cell.column.source === "own" ? item[cell.column.field] && shownValue(cell.column, { [cell.column.name]: item[cell.column.field] }) : shownValue(cell.column, item.metadata);
      node.append(text ? element("span", { title: text }, text) : element("span", { class: "none", "aria-label": "no value" }, MISSING));
    }
    if (cell.column) this.markState(node, item, cell.column);
    if (!cell.column?.editable && cell.part === "value") node.setAttribute("aria-readonly", "true");
    return node;
  }

  markState(node, item, column) {
    const name = cellName(item.item_id, column.name);
    const isSaving = [...this.desk.saving.values()].some((each) => each.name === name);
    const failed = this.desk.failed.get(name);
    node.classList.toggle("saving", isSaving);
    node.classList.toggle("failed", Boolean(failed));
    if (isSaving) node.setAttribute("aria-busy", "true");
    if (failed) {
      node.setAttribute("aria-invalid", "true");
      node.append(element("span", { class: "why", role: "alert" }, failed.problem));
    }
  }

  photo(item) {
    const image = element("img", { src: item.thumbnail, alt: item.title, width: "48", height: "48", loading: "lazy", decoding: "async", draggable: "false" });
    image.onerror = () => image.replaceWith(element("span", { class: "missing" }, icon("missing")));
    return image;
  }

  cardLines(item) {
    const shown = this.desk.chosen.map((name) => this.desk.columns.find((column) => column.name === name)).filter((column) => column?.source === "metadata");
    const text = shown.map((column) => shownValue(column, item.metadata)).filter(Boolean).slice(0, 3).join(" · ");
    return [element("span", { class: "line" }, text || MISSING), element("span", { class: "id" }, item.item_id)];
  }
}
