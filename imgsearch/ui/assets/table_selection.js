// The selected items of the item table.

// Which items are selected: some ids, or all that match but some.
class Selection {
  constructor() {
    this.clear();
  }

  clear() {
    this.all = false;
    this.ids = new Set();
    this.from = null;
  }

  has(id) {
    return this.all !== this.ids.has(id);
  }

  set(id, on) {
    if (on === this.all) this.ids.delete(id);
    else this.ids.add(id);
  }

  chooseAll() {
    this.all = true;
    this.ids = new Set();
  }

  count(total) {
    return this.all ? Math.max(0, (total || 0) - this.ids.size) : this.ids.size;
  }
}
