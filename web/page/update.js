// Offline use, and new versions: one is fetched beside the old one, said in a line at the top, and taken when it is asked for
// or when a page begins, never under somebody's hands.

const version = new URL(import.meta.url).search;
const { line } = await import("./messages.js" + version);

// How often a page that stays open asks whether there is a new version, milliseconds.
const ASK_AGAIN = 60 * 60 * 1000;
// A page that begins does not wait longer than that for a new version to take over, and one in which it is asked for not longer than that,
// milliseconds.
const LONGEST_WAIT = 5000;
const LONGEST_WAIT_WHEN_ASKED = 60_000;

const container = navigator.serviceWorker;

// The files of a version stay as long as a page of it is open: others can tell by this lock. A page holds it before it lets a new version take
// over, which may happen while it still begins.
const held = new Promise((resolve) => {
  const hold = () => (resolve(), new Promise(() => {}));
  const name = "attention-anatomy-" + version.slice(3);
  navigator.locks ? navigator.locks.request(name, { mode: "shared" }, hold).catch(resolve) : resolve();
});

// Whether the new version has taken over.
function taken(waiting, longest) {
  return new Promise((over) => {
    container.addEventListener("controllerchange", () => over(true), { once: true });
    setTimeout(() => over(false), longest);
    waiting.postMessage("take over");
  });
}

// A page that begins has nothing that could be disturbed: it begins with the newest version that is there.
// `before` is called if it has to be loaded anew for that.
export async function takeNewest(before) {
  await held;
  const waiting = container?.controller && (await container.getRegistration())?.waiting;
  if (!waiting) {
    return;
  }
  // One that is late is in time as long as nothing is open.
  const begin = () => {
    if (document.body.dataset.state === "loading") {
      before();
      location.reload();
    }
  };
  container.addEventListener("controllerchange", begin, { once: true });
  if (await taken(waiting, LONGEST_WAIT)) {
    await new Promise(() => {});
  }
}

function announce(save, take) {
  const act = async () => {
    // What is drawn comes back in the new version; where it cannot be kept the old one stays.
    if (save() || confirm("Your edits cannot be kept in this browser. Go on and lose them?")) {
      await take();
      location.reload();
    }
  };
  line("version", "A new version of this page is ready.", { name: "Use it now", act });
}

// Keeps the page for offline use, and looks for new versions. `save` stores what must survive a reload.
export async function keepForOffline(save) {
  if (!container) {
    return;
  }
  const wasControlled = Boolean(container.controller);
  let registration;
  try {
    registration = await container.register("service-worker.js", { updateViaCache: "none" });
  } catch {
    // A private window or a page that is not served over https: the viewer works, but not offline.
    return;
  }
  container.controller?.postMessage("tidy up");
  // Another tab has taken the new version: this one goes on with its own until it is reloaded.
  container.addEventListener("controllerchange", () => wasControlled && announce(save, async () => {}));
  const offer = () => registration.waiting && announce(save, () => taken(registration.waiting, LONGEST_WAIT_WHEN_ASKED));
  const follow = (worker) =>
    worker?.addEventListener("statechange", () => worker.state === "installed" && container.controller && offer());
  follow(registration.installing);
  registration.addEventListener("updatefound", () => follow(registration.installing));
  if (container.controller) {
    offer();
  }
  // Offline there is nothing new.
  const ask = () => registration.update().catch(() => {});
  setInterval(ask, ASK_AGAIN);
  addEventListener("online", ask);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && ask());
}
