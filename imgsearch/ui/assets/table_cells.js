// Cells of the item table: values as people write them, and the field to edit one.

const MISSING = "–";
const LONG_TEXT_CHARS = 60;
const MAX_VALUE_CHARS = 20000; // that of DeskEvent

function shownValue(column, metadata) {
  const value = metadata[column.name];
  if (value === undefined || value === null || value === "") return "";
  if (Array.isArray(value)) return value.join(", ");
  if (column.kind === "boolean") return value ? "Yes" : "No";
  if (column.kind === "price") return price(value, metadata[`${column.name}_currency`]);
  if (column.kind === "number" && typeof value === "number") return value.toLocaleString(undefined, { minimumFractionDigits: Number.isInteger(value) ? 0 : 2, maximumFractionDigits: 6 });
  if (column.kind === "date") return localDate(value, { dateStyle: "medium", timeZone: "UTC" });
  if (column.kind === "datetime") return localDate(value, { dateStyle: "medium", timeStyle: "short" });
  return String(value);
}

function price(value, currency) {
  const number = Number(value);
  if (!Number.isFinite(number)) return String(value);
  try {
    if (currency) return number.toLocaleString(undefined, { style: "currency", currency });
  } catch {
    // No ISO code: it is shown behind the number.
  }
  const text = number.toLocaleString(undefined, { minimumFractionDigits: 2 });
  return currency ? `${text} ${currency}` : text;
}

function localDate(value, how) {
  const when = new Date(how.timeZone ? `${value}T00:00:00Z` : value);
  return Number.isNaN(when.getTime()) ? String(value) : when.toLocaleString(undefined, how);
}

// What a person edits: the value without grouping or words.
function editedText(column, metadata) {
  const value = metadata[column.name];
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.join(", ");
  if (column.kind === "boolean") return value ? "true" : "false";
  if (column.kind === "price") {
    const currency = metadata[`${column.name}_currency`];
    return currency ? `${value} ${currency}` : String(value);
  }
  if (column.kind === "datetime") return String(value).replace(" ", "T").slice(0, 16);
  return String(value);
}

// Why a text is no value of the column; "" where it is one, or where the server must decide.
function whyNot(column, text) {
  const given = text.trim();
  if (!given) return "";
  if ([...given].length > MAX_VALUE_CHARS) return `A value has at most ${MAX_VALUE_CHARS.toLocaleString()} characters.`;
  if (column.kind === "number" && !/^[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?$/i.test(given)) {
    return `“${given.slice(0, 40)}” is not a number; write it like 12.5.`;
  }
  if (column.kind === "price" && !/\d/.test(given)) return `“${given.slice(0, 40)}” is not a price; write it like 19.99 EUR.`;
  return "";
}

// A field for a value of the column's kind; with its present text and an accessible name.
function valueField(column, text, label) {
  const named = { "aria-label": label, class: "field" };
  if (column.kind === "boolean") {
    const select = element("select", named, ...[["", "No value"], ["true", "Yes"], ["false", "No"]].map(([value, words]) =>
      element("option", { value, selected: value === text }, words)));
    return select;
  }
  const types = { date: "date", datetime: "datetime-local", time: "time" };
  if (column.kind === "text" && (text.length > LONG_TEXT_CHARS || text.includes("\n"))) {
    const area = element("textarea", { ...named, rows: "4" });
    area.value = text;
    return area;
  }
  const numeric = column.kind === "number" || column.kind === "price";
  const input = element("input", {
    ...named,
    type: types[column.kind] || "text",
    inputmode: numeric ? "decimal" : null,
    autocomplete: "off",
    spellcheck: column.kind === "text" ? null : "false",
  });
  input.value = text;
  return input;
}

// A condition in the grammar of filters: quoted, so that any column and value can be named.
function filterText(column, sign, value) {
  const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
  return `${quoted(column)}${sign}${quoted(value)}`;
}
