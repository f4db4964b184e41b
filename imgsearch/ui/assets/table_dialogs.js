// The dialogs of the item table. Each is a native <dialog>: it keeps the focus, Escape closes it, and the focus returns
// to what opened it. On a phone all of them are sheets at the bottom.

const SIGNS = {
  text: [["=", "is"], ["~", "contains"], ["!=", "is not"]],
  list: [["~", "contains"]],
  boolean: [["=", "is"]],
  number: [["=", "is"], [">=", "is at least"], ["<=", "is at most"]],
  price: [["=", "is"], [">=", "is at least"], ["<=", "is at most"]],
  date: [["=", "is"], [">=", "is on or after"], ["<=", "is on or before"]],
  datetime: [[">=", "is on or after"], ["<=", "is on or before"]],
  time: [[">=", "is at or after"], ["<=", "is at or before"]],
};
const CHANGES = {
  add: "Added", put: "Replaced", patch: "Edited", delete: "Deleted", restore: "Brought back", undo: "Changed back",
};

const button = (text, css, onclick, attributes = {}) => {
  const node = element("button", { type: "button", class: css, ...attributes }, ...[text].flat());
  node.onclick = onclick;
  return node;
};

// Open a dialog; returns a function that closes it. `under` is the button that a small one is placed below.
function openDialog(root, title, css, nodes, { under = null, onClose = () => {} } = {}) {
  const heading = element("h2", {}, title);
  const shut = button(icon("close"), "icon", () => dialog.close(), { "aria-label": "Close", title: "Close (Esc)" });
  const dialog = element("dialog", { class: css, "aria-label": title }, element("header", {}, heading, shut), ...nodes);
  root.append(dialog);
  const back = root.getRootNode().activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose();
    back?.isConnected && back.focus();
  });
  // A click beside it closes it; one that began inside, such as a selection of text, does not.
  dialog.onpointerdown = (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  };
  dialog.onkeydown = (event) => event.stopPropagation();
  dialog.showModal();
  if (under && css.includes("pop")) {
    const box = under.getBoundingClientRect();
    dialog.style.setProperty("--left", `${Math.max(8, Math.min(box.left, innerWidth - dialog.offsetWidth - 8))}px`);
    dialog.style.setProperty("--top", `${Math.min(box.bottom + 6, Math.max(8, innerHeight - dialog.offsetHeight - 8))}px`);
  }
  return dialog;
}

function labelled(text, field) {
  // Without it, the name of a list would be that of all its options.
  if (!field.hasAttribute("aria-label")) field.setAttribute("aria-label", text);
  return element("label", { class: "labelled" }, element("span", {}, text), field);
}

function options(pairs) {
  return pairs.map(([value, words]) => element("option", { value }, words));
}

function filterDialog(root, columns, under, onFilter) {
  const column = element("select", { class: "field" }, ...options(columns.map((each, place) => [String(place), each.label])));
  const sign = element("select", { class: "field" });
  const place = element("div", { class: "value" });
  const note = element("p", { class: "note wrong", role: "alert" });
  const chosen = () => columns[Number(column.value)];
  const draw = () => {
    sign.replaceChildren(...options(SIGNS[chosen().kind] || SIGNS.text));
    const field = valueField(chosen(), "", "Value");
    field.querySelector?.('option[value=""]')?.remove();
    place.replaceChildren(labelled("Value", field));
    note.textContent = "";
  };
  column.onchange = draw;
  draw();
  const form = element("form", { method: "dialog" }, labelled("Column", column), labelled("Condition", sign), place, note,
    element("div", { class: "row" }, element("button", { type: "submit", class: "primary" }, "Add filter")));
  const dialog = openDialog(root, "Filter", "pop", [form], { under });
  form.onsubmit = (event) => {
    event.preventDefault();
    const field = place.querySelector(".field");
    const value = field.value.trim();
    note.textContent = value ? whyNot(chosen(), value) : "Enter a value to compare with.";
    if (note.textContent) {
      field.focus();
      return;
    }
    const number = ["number", "price"].includes(chosen().kind) ? value.replace(",", ".") : value;
    dialog.close();
    const words = sign.selectedOptions[0].textContent;
    const text = field.selectedOptions ? field.selectedOptions[0].textContent : value;
    onFilter({ text: filterText(chosen().name, sign.value, number), label: `${chosen().label} ${words} ${text}` });
  };
}

function columnsDialog(root, columns, shown, under, onChange) {
  const boxes = columns.map((column) => {
    const box = element("input", { type: "checkbox", checked: shown.includes(column.name) });
    box.onchange = () => onChange(columns.filter((_, place) => boxes[place].checked).map((each) => each.name));
    return box;
  });
  const list = element("div", { class: "checks" }, ...columns.map((column, place) =>
    element("label", { class: "check" }, boxes[place], element("span", {}, column.label))));
  openDialog(root, "Columns", "pop", [list], { under });
}

// Change one column of the selected items.
function bulkDialog(root, columns, count, onApply) {
  const column = element("select", { class: "field" }, ...options(columns.map((each, place) => [String(place), each.label])));
  const how = element("select", { class: "field" }, ...options([["set", "Set to"], ["clear", "Clear the value"]]));
  const place = element("div", { class: "value" });
  const note = element("p", { class: "note wrong", role: "alert" });
  const chosen = () => columns[Number(column.value)];
  const draw = () => {
    place.replaceChildren(labelled("New value", valueField(chosen(), "", "New value")));
    place.hidden = how.value === "clear";
    note.textContent = "";
  };
  column.onchange = draw;
  how.onchange = draw;
  draw();
  const form = element("form", { method: "dialog" }, labelled("Column", column), labelled("Change", how), place, note,
    element("div", { class: "row" },
      button("Cancel", "plain", () => dialog.close()),
      element("button", { type: "submit", class: "primary" }, `Change ${counted(count)}`)));
  const dialog = openDialog(root, `Edit ${counted(count)}`, "small", [form]);
  form.onsubmit = (event) => {
    event.preventDefault();
    const field = place.querySelector(".field");
    const value = how.value === "clear" ? "" : field.value.trim();
    note.textContent = how.value === "clear" ? "" : value ? whyNot(chosen(), value) : "Enter a value, or choose “Clear the value”.";
    if (note.textContent) {
      field.focus();
      return;
    }
    dialog.close();
    onApply(chosen().name, value);
  };
}

function confirmDialog(root, title, text, action, onConfirm) {
  const go = button(action, "danger", () => {
    dialog.close();
    onConfirm();
  });
  const cancel = button("Cancel", "plain", () => dialog.close());
  const dialog = openDialog(root, title, "small", [element("p", {}, text), element("div", { class: "row" }, cancel, go)]);
  cancel.focus();
}

// One item: its photo, its values, what was changed, and what can be done with it.
function itemDialog(root, desk, item) {
  const photo = element("img", { class: "large", src: item.image, alt: item.title });
  photo.onerror = () => photo.replaceWith(element("p", { class: "missing" }, "The photo cannot be shown."));
  const fields = element("dl", { class: "fields" });
  const note = element("p", { class: "note", role: "status" });
  const past = element("section", { class: "past" });
  let present = item;
  const draw = () => {
    fields.replaceChildren(...desk.columns.filter((column) => column.source === "metadata").flatMap((column) => {
      const field = element("dd", {});
      const show = () => {
        const text = shownValue(column, present.metadata) || MISSING;
        if (!desk.editable) return field.replaceChildren(text);
        const open = button(element("span", {}, text), "value", edit, { "aria-label": `Edit ${column.label}: ${text}` });
        field.replaceChildren(open);
        return open;
      };
      const edit = () => {
        const input = valueField(column, editedText(column, present.metadata), column.label);
        const shown = input.value;
        let ended = false; // Taking the field away is a blur too.
        const why = element("p", { class: "note wrong", role: "alert" });
        field.replaceChildren(input, why);
        input.focus();
        input.select?.();
        const save = (takesFocus = true) => {
          if (ended) return;
          why.textContent = whyNot(column, input.value);
          if (why.textContent) return;
          ended = true;
          if (input.value !== shown && input.value.trim() !== editedText(column, present.metadata)) desk.save(present, column, input.value.trim());
          present = desk.latest(present);
          const open = show();
          if (takesFocus) open.focus();
        };
        input.onkeydown = (event) => {
          if (event.key === "Enter" && !(event.shiftKey && input.tagName === "TEXTAREA")) {
            event.preventDefault();
            save();
          } else if (event.key === "Escape") {
            event.preventDefault();
            ended = true;
            show().focus();
          }
        };
        input.onblur = () => input.isConnected && document.hasFocus() && save(false);
      };
      show();
      return [element("dt", {}, column.label), field];
    }));
  };
  draw();
  const acts = element("div", { class: "acts" });
  acts.append(element("a", { class: "plain", href: `?item=${encodeURIComponent(item.item_id)}`, target: "_top" }, icon("similar"), "Find similar"));
  acts.firstChild.href = `${desk.searchAddress}?item=${encodeURIComponent(item.item_id)}`;
  if (desk.editable) {
    acts.append(
      button([icon("reread"), "Read the photo again"], "plain", () => desk.reread([item.item_id])),
      button([icon("remove"), "Delete"], "plain dangerous", () => desk.remove({ all: false, ids: [item.item_id], count: 1 }, () => dialog.close())),
    );
  }
  const facts = element("p", { class: "quiet id" }, item.item_id);
  const dialog = openDialog(root, item.title, "drawer", [photo, facts, acts, note, fields, past], { onClose: () => (desk.opened = null) });
  desk.opened = {
    id: item.item_id,
    update: () => {
      present = desk.latest(present);
      if (!fields.querySelector("input, select, textarea")) draw();
    },
    say: (text, wrong) => {
      note.textContent = text;
      note.classList.toggle("wrong", wrong);
    },
    close: () => dialog.close(),
    history: (changes) => past.replaceChildren(...pastNodes(desk, changes)),
  };
  past.replaceChildren(element("h3", {}, "History"), element("p", { class: "quiet" }, "Loading …"));
  desk.askHistory(item.item_id);
}

function pastNodes(desk, changes) {
  if (changes.length === 0) return [element("h3", {}, "History"), element("p", { class: "quiet" }, "Nothing was changed yet.")];
  const entries = changes.map((change) => {
    const lines = change.lines.map(({ label, before, after }) =>
      element("li", {}, element("b", {}, label), " ", ...(before ? [element("s", {}, before), " → "] : []), element("span", {}, after || MISSING)));
    const head = element("div", { class: "row between" },
      element("p", {}, element("b", {}, CHANGES[change.kind] || change.kind), element("span", { class: "quiet" }, ` ${change.when}${change.who ? `, ${change.who}` : ""}`)));
    if (change.can_undo !== false && desk.editable) head.append(button("Undo", "plain small", () => desk.undo([change.id]), { "aria-label": `Undo: ${CHANGES[change.kind] || change.kind} ${change.when}` }));
    return element("li", {}, head, lines.length > 0 ? element("ul", { class: "lines" }, ...lines) : "");
  });
  return [element("h3", {}, "History"), element("ol", { class: "changes" }, ...entries)];
}
