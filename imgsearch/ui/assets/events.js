// Events to Python that are not lost; joined before the code of each component.
// Streamlit drops a trigger if the next click ends its script run before its callback. So every event stays in an outbox
// until Python has handled it; the whole outbox is sent with every trigger, and again after a delay. Python handles each
// id once.

const RESEND_AFTER_MS = 1500;

let eventCount = 0;
const newEventId = () =>
  `${Date.now().toString(36)}-${(eventCount += 1)}-${Math.random().toString(36).slice(2, 10)}`;

class Outbox {
  constructor(root) {
    this.root = root;
    this.waiting = [];
    this.delay = RESEND_AFTER_MS;
  }

  // At every redraw: the current callback to Python, and the ids that it has handled.
  connect(setTriggerValue, handled) {
    this.transmit = () => setTriggerValue("events", [...this.waiting]);
    this.waiting = this.waiting.filter((event) => !handled.includes(event.id));
    if (this.waiting.length === 0) this.delay = RESEND_AFTER_MS;
    this.watch();
  }

  add(event) {
    this.waiting.push({ id: newEventId(), ...event });
    this.transmit();
    this.watch();
  }

  // With growing delays: a trigger interrupts the drawing of the page, which a slow server must finish in between.
  watch() {
    clearTimeout(this.timer);
    if (this.waiting.length === 0) return;
    this.timer = setTimeout(() => {
      if (!this.root.isConnected) return;
      this.delay *= 2;
      this.transmit();
      this.watch();
    }, this.delay);
  }
}

