// The rows of the item table: pages of `GET /api/v1/items`, loaded for what is in view and kept for a while.

const PAGE_ROWS = 100;
const KEPT_PAGES = 30;
const ROWS_TIMEOUT_MS = 20000;

class Pages {
  // `onChange` is called whenever rows, the total or the state have changed.
  constructor(endpoint, onChange) {
    this.endpoint = endpoint;
    this.onChange = onChange;
    this.query = { search: "", filters: [], sort: "" };
    this.reset();
  }

  reset() {
    this.running?.forEach((controller) => controller.abort());
    this.pages = new Map();
    this.running = new Map();
    this.outdated = new Set(); // pages whose answer under way may be older than the last change
    this.total = null;
    this.problem = "";
  }

  ask(query) {
    this.query = query;
    this.reset();
    this.want(0, 0);
  }

  row(position) {
    return this.pages.get(Math.floor(position / PAGE_ROWS))?.[position % PAGE_ROWS];
  }

  // The position of a loaded item, or -1.
  find(id) {
    for (const [page, items] of this.pages) {
      const place = items.findIndex((item) => item.item_id === id);
      if (place >= 0) return page * PAGE_ROWS + place;
    }
    return -1;
  }

  // Load what is missing between two positions; pages that are no longer wanted are not waited for.
  want(first, last) {
    const end = this.total === null ? 0 : Math.max(0, Math.min(last, this.total - 1));
    const from = Math.floor(Math.min(first, end) / PAGE_ROWS);
    const to = Math.floor(end / PAGE_ROWS);
    for (const [page, controller] of this.running) {
      if (page < from || page > to) controller.abort();
    }
    this.seen = [from, to];
    for (let page = from; page <= to; page += 1) {
      if (!this.pages.has(page) && !this.running.has(page)) this.load(page);
    }
    for (const page of this.pages.keys()) {
      if (this.pages.size <= KEPT_PAGES) break;
      if (page < from - 1 || page > to + 1) this.pages.delete(page);
    }
  }

  // Load the pages in view again: something has changed. Other pages are dropped; rows stay until the new ones are there.
  refresh() {
    const [from, to] = this.seen || [0, 0];
    for (const page of [...this.pages.keys()]) {
      if (page < from || page > to) this.pages.delete(page);
    }
    for (let page = from; page <= to; page += 1) {
      if (this.running.has(page)) this.outdated.add(page);
      else this.load(page);
    }
  }

  // Show a change before the server has confirmed it.
  change(id, metadata) {
    for (const items of this.pages.values()) {
      const place = items.findIndex((item) => item.item_id === id);
      if (place >= 0) items[place] = { ...items[place], metadata: { ...items[place].metadata, ...metadata } };
    }
  }

  address(offset) {
    const { search, filters, sort } = this.query;
    const given = new URLSearchParams({ offset: String(offset), limit: String(PAGE_ROWS) });
    if (search) given.set("q", search);
    if (sort) given.append("sort", /[",]|^\s|\s$/.test(sort) ? `"${sort.replaceAll('"', '""')}"` : sort);
    for (const filter of filters) given.append("filter", filter);
    return `${this.endpoint}?${given}`;
  }

  async load(page) {
    const controller = new AbortController();
    const { query } = this;
    this.running.set(page, controller);
    const timer = setTimeout(() => controller.abort("late"), ROWS_TIMEOUT_MS);
    try {
      const answer = await fetch(this.address(page * PAGE_ROWS), { signal: controller.signal, cache: "no-store" });
      const found = await answer.json();
      if (query !== this.query) return;
      if (!answer.ok) throw new Error(found.error?.message || found.message || `The server answered ${answer.status}.`);
      const moved = this.total !== null && this.total !== found.total;
      this.pages.delete(page); // so that the newest are last
      this.pages.set(page, found.items);
      this.total = found.total;
      this.problem = "";
      if (moved) this.dropOthers(page);
    } catch (error) {
      if (query !== this.query) return;
      if (controller.signal.aborted && controller.signal.reason !== "late") return;
      this.problem = controller.signal.aborted ? "The server does not answer." : failure(error);
    } finally {
      clearTimeout(timer);
      if (this.running.get(page) === controller) {
        this.running.delete(page);
        if (this.outdated.delete(page)) this.load(page);
      }
    }
    this.onChange();
  }

  // Items came or went: the other pages have moved too.
  dropOthers(page) {
    for (const other of [...this.pages.keys()]) {
      if (other !== page) this.pages.delete(other);
    }
  }
}

function failure(error) {
  return error instanceof TypeError || error instanceof SyntaxError ? "The server does not answer." : error.message;
}
