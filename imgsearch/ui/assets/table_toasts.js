// Messages of the item table, each for a while; the latest replaces the one before.

const TOAST_MS = 12000;

class Toasts {
  // `onUndo` is called with the token of the message whose Undo is pressed.
  constructor(onUndo) {
    this.onUndo = onUndo;
    this.node = element("div", { class: "toasts" });
  }

  show(text, undo = "", wrong = false) {
    const close = button(icon("close"), "icon tiny", () => toast.remove(), { "aria-label": "Close this message" });
    const toast = element("div", { class: `toast${wrong ? " wrong" : ""}`, role: wrong ? "alert" : "status" }, element("p", {}, text));
    if (undo) {
      toast.append(button("Undo", "link", () => {
        toast.remove();
        this.onUndo(undo);
      }, { title: "Undo (Ctrl+Z)" }));
    }
    toast.append(close);
    this.node.replaceChildren(toast);
    const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
    setTimeout(leave, TOAST_MS);
  }
}
