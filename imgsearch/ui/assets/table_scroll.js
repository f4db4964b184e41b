// Positions of rows in a list of any length. Browsers limit the height of an element (Firefox to 17 million pixels), so a
// longer list is drawn on a canvas of `MAX_CANVAS_PX` whose rows are shifted by `offset`: a small scroll moves row by
// row, a drag of the scrollbar jumps in proportion. (The scheme is that of SlickGrid, MIT license.)

const MAX_CANVAS_PX = 6_000_000;
const CANVAS_PARTS = 100;

class RowScroll {
  constructor(scroller, canvas) {
    this.scroller = scroller;
    this.canvas = canvas;
    this.rows = 0;
    this.rowPx = 1;
    this.offset = 0;
    this.part = 0;
    this.last = 0;
  }

  get viewPx() {
    return Math.max(0, this.scroller.clientHeight - this.headPx);
  }

  resize(rows, rowPx, headPx) {
    const before = this.rowPx === rowPx && this.rows > 0 ? null : this.first;
    this.rows = rows;
    this.rowPx = rowPx;
    this.headPx = headPx;
    this.virtualPx = rows * rowPx;
    this.canvasPx = Math.min(this.virtualPx, MAX_CANVAS_PX);
    this.partPx = this.virtualPx > MAX_CANVAS_PX ? this.canvasPx / CANVAS_PARTS : this.canvasPx || 1;
    this.parts = Math.max(1, Math.floor(this.virtualPx / this.partPx));
    this.step = this.parts > 1 ? (this.virtualPx - this.canvasPx) / (this.parts - 1) : 0;
    if (this.parts === 1) this.offset = this.part = 0;
    this.canvas.style.height = `${this.canvasPx}px`;
    if (before) this.show(Math.min(before, Math.max(0, rows - 1)), true);
  }

  // Called at every scroll event.
  moved() {
    const top = this.scroller.scrollTop;
    const by = Math.abs(top - this.last);
    if (by === 0 || this.parts === 1) {
      this.last = top;
      return;
    }
    if (by < this.viewPx) {
      this.to(top + this.offset);
      return;
    }
    const share = (this.virtualPx - this.viewPx) / Math.max(1, this.canvasPx - this.viewPx);
    this.part = Math.min(this.parts - 1, Math.floor((top * share) / this.partPx));
    this.offset = Math.round(this.part * this.step);
    this.last = top;
  }

  to(y) {
    const wanted = Math.max(0, Math.min(y, this.virtualPx - this.viewPx));
    const before = this.offset;
    this.part = Math.min(this.parts - 1, Math.floor(wanted / this.partPx));
    this.offset = Math.round(this.part * this.step);
    const top = wanted - this.offset;
    this.last = top;
    if (this.offset !== before || Math.abs(this.scroller.scrollTop - top) >= 1) this.scroller.scrollTop = top;
    this.last = this.scroller.scrollTop;
  }

  get first() {
    return (this.scroller.scrollTop + this.offset) / this.rowPx;
  }

  // The positions in view, with some rows before and after.
  range(extra) {
    const first = Math.max(0, Math.floor(this.first) - extra);
    const last = Math.min(this.rows - 1, Math.ceil(this.first + this.viewPx / this.rowPx) + extra);
    return [first, last];
  }

  top(row) {
    return row * this.rowPx - this.offset;
  }

  // Bring a row into view; `atTop` makes it the first one.
  show(row, atTop = false) {
    const y = row * this.rowPx;
    const now = this.scroller.scrollTop + this.offset;
    if (atTop || y < now) this.to(y);
    else if (y + this.rowPx > now + this.viewPx) this.to(y + this.rowPx - this.viewPx);
  }
}
