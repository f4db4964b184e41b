// Files that are dropped on the table: the page changes to Import, whose field for files takes them.

const IMPORT_TIMEOUT_MS = 15000;
const MAX_DROPPED = 20000;

// All files that were dropped, those in folders too.
async function droppedFiles(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  while (entries.length > 0 && files.length < MAX_DROPPED) {
    const entry = entries.shift();
    if (entry.isFile) {
      files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    } else {
      const reader = entry.createReader();
      let some;
      do {
        some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        entries.push(...some);
      } while (some.length > 0);
    }
  }
  return files.filter((file) => !file.name.startsWith("."));
}

function shownSoon(selector) {
  return new Promise((resolve, reject) => {
    const end = Date.now() + IMPORT_TIMEOUT_MS;
    const look = () => {
      const found = document.querySelector(selector);
      if (found) resolve(found);
      else if (Date.now() > end) reject(new Error("late"));
      else setTimeout(look, 80);
    };
    look();
  });
}

async function importFiles(files) {
  if (files.length === 0) return;
  const views = [...document.querySelectorAll(".st-key-desk_head button")];
  views.find((view) => view.textContent.trim() === "Import")?.click();
  const input = await shownSoon('.st-key-import_files input[type="file"]');
  const given = new DataTransfer();
  files.forEach((file) => given.items.add(file));
  input.files = given.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

// Watch for files over the page; `say` shows a problem.
function watchDrops(root, frame, say) {
  const overlay = element("div", { class: "drop" }, element("span", {}, "Drop photos, or a table with your products"));
  root.append(overlay);
  let depth = 0;
  const isFiles = (event) => Array.from(event.dataTransfer?.types || []).includes("Files");
  const on = (name, act) => {
    const handle = (event) => {
      if (!frame.isConnected) document.removeEventListener(name, handle);
      else if (isFiles(event)) act(event);
    };
    document.addEventListener(name, handle);
  };
  const show = (shown) => overlay.classList.toggle("shown", shown);
  on("dragenter", () => show((depth += 1) > 0));
  on("dragleave", () => show((depth = Math.max(0, depth - 1)) > 0));
  on("dragover", (event) => event.preventDefault());
  on("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    show(false);
    try {
      await importFiles(await droppedFiles(event.dataTransfer));
    } catch {
      say("The files could not be read; choose them on “Import”.");
    }
  });
}
