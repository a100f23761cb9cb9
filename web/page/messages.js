// What the page itself says, in plain HTML: lines at the top, and a message above everything where the viewer cannot speak.

const lines = document.getElementById("lines");
const box = document.getElementById("message");

// Dark or light as the viewer is, which is dark unless the user has chosen otherwise.
function look() {
  let dark = true;
  try {
    dark = JSON.parse(localStorage.getItem("attention-anatomy/preferences"))?.dark ?? true;
  } catch {
    // A browser that keeps nothing keeps no choice either.
  }
  document.body.dataset.look = dark ? "dark" : "light";
}

function button({ name, act }) {
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  element.addEventListener("click", act);
  return element;
}

// The keyboard goes back to the viewer.
function leave() {
  document.getElementById("viewer").focus();
}

// Whether a button of the mouse or a finger is down, and lines that wait until it is up: what is drawn must not move under it.
let held = false;
const waiting = new Map();
addEventListener("pointerdown", () => (held = true), true);
for (const up of ["pointerup", "pointercancel", "blur"]) {
  addEventListener(
    up,
    () => {
      held = false;
      waiting.forEach((show) => show());
      waiting.clear();
    },
    true,
  );
}

// One line at the top, in the place of the one that had this name; it goes when it is closed.
export function line(name, text, ...actions) {
  if (held) {
    waiting.set(name, () => line(name, text, ...actions));
    return;
  }
  unline(name);
  look();
  const element = Object.assign(document.createElement("div"), { className: "line" });
  element.dataset.name = name;
  const words = Object.assign(document.createElement("span"), { textContent: text });
  const close = button({ name: "\u00d7", act: () => { unline(name); leave(); } });
  close.className = "close";
  close.setAttribute("aria-label", "Close this line");
  element.append(words, ...actions.map(button), close);
  lines.append(element);
}

export function unline(name) {
  waiting.delete(name);
  lines.querySelector(`[data-name="${name}"]`)?.remove();
}

// A message above everything. It takes the place of the last one, and stays until one of its buttons is pressed.
export function message(heading, sentences, detail, actions) {
  const title = Object.assign(document.createElement("h2"), { id: "message-heading", textContent: heading });
  const text = sentences.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence }));
  const said = document.createElement("details");
  said.append(
    Object.assign(document.createElement("summary"), { textContent: "What the program says" }),
    Object.assign(document.createElement("pre"), { textContent: detail }),
  );
  const buttons = Object.assign(document.createElement("div"), { className: "buttons" });
  buttons.append(...actions.map(button));
  box.replaceChildren(title, ...text, buttons, ...(detail ? [said] : []));
  look();
  document.body.dataset.state = "stopped";
  if (!box.open) {
    box.showModal();
  }
  buttons.firstElementChild?.focus();
}

export function unmessage() {
  if (box.open) {
    box.close();
    document.body.dataset.state = "running";
    leave();
  }
}

box.addEventListener("cancel", (event) => event.preventDefault());
