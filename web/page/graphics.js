// Where the browser takes the graphics away (another program or the driver has failed, the computer has slept, memory is
// short), the viewer goes on unseen: it is given another canvas as soon as there are graphics again.

const version = new URL(import.meta.url).search;
const { line, message, unline, unmessage } = await import("./messages.js" + version);
const { follow } = await import("./pace.js" + version);

// Milliseconds before each attempt. A browser needs a moment to start its graphics process again.
const WAITS = [0, 300, 1000, 2000, 4000, 8000];
// Graphics that are lost more often than this within a minute are not brought back unasked: what is shown may be why.
const MOST_LOSSES = 4;

let viewer;
let canvas;
let restoring = false;
let lostAgain = false;
let losses = [];

const sleep = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

function listen() {
  const own = canvas;
  own.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    if (own === canvas) {
      lost("The browser has taken the WebGL context away.");
    }
  });
}

// The same canvas, empty: one that has had a context takes no other.
function renew() {
  const fresh = canvas.cloneNode(false);
  delete fresh.dataset.shown;
  const hadKeyboard = document.activeElement === canvas || document.activeElement === document.body;
  canvas.replaceWith(fresh);
  canvas = fresh;
  listen();
  if (hadKeyboard) {
    canvas.focus();
  }
}

async function showOnCanvas() {
  follow(canvas);
  await viewer.show(canvas);
  // The window's own field for typed text.
  document.querySelector("canvas ~ input")?.setAttribute("aria-label", "Keyboard of the viewer");
  // For whoever drives the page from outside.
  canvas.dataset.shown = "yes";
}

// Shows the viewer for the first time.
export async function show(bindings) {
  viewer = bindings;
  canvas = document.getElementById("viewer");
  listen();
  await showOnCanvas();
}

export async function lost(why) {
  if (document.body.dataset.state === "stopped" || document.body.dataset.state === "failed") {
    return;
  }
  if (restoring) {
    lostAgain = true;
    return;
  }
  const now = performance.now();
  losses = [...losses.filter((time) => now - time < 60_000), now];
  await restore(why, losses.length > MOST_LOSSES ? [] : WAITS);
}

async function restore(why, waits) {
  restoring = true;
  // What was drawn may be lost with whatever took the graphics.
  const kept = viewer.save();
  for (const wait of waits) {
    if (wait > 0) {
      line("graphics", "The graphics of this browser have stopped. The picture comes back as soon as they do.");
      await sleep(wait);
    }
    lostAgain = false;
    try {
      renew();
      await showOnCanvas();
    } catch (error) {
      why = String(error);
      continue;
    }
    if (!lostAgain) {
      restoring = false;
      unline("graphics");
      return;
    }
  }
  restoring = false;
  unline("graphics");
  const again = () => {
    unmessage();
    losses = [];
    restore(why, WAITS);
  };
  message(
    "There is no picture: the graphics of this browser have stopped",
    [
      "The scan and everything you have drawn are still there, and a run goes on.",
      kept
        ? "Your edits are also kept for the next visit: after a reload, open the same scan, and they are offered."
        : "Your edits could not be kept for the next visit: try again before you reload.",
    ],
    why,
    [
      { name: "Try again", act: again },
      { name: "Reload the page", act: () => location.reload() },
    ],
  );
}
