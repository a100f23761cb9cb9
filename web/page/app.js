// Loads the viewer with a bar that shows how far it is, and says in plain words why it cannot run where it cannot.

// All files of the page are asked for under the version of this one.
const version = new URL(import.meta.url).search;
const [{ line, message, unmessage }, graphics, update, { pace }] = await Promise.all(
  ["messages.js", "graphics.js", "update.js", "pace.js"].map((name) => import("./" + name + version)),
);
const script = document.querySelector("script[data-wasm-bytes]");
const bar = document.getElementById("progress");
const step = document.getElementById("step");

// How long a host may take to say which archives there are, milliseconds.
const LONGEST_WAIT = 20_000;

// What the address holds behind the #: who asks an archive. It is read once, and taken out of the address at once.
function takeToken() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("token") ?? "";
  if (fields.has("token")) {
    fields.delete("token");
    const rest = fields.toString();
    history.replaceState(history.state, "", location.pathname + location.search + (rest && "#" + rest));
  }
  return token;
}

const token = takeToken();
// A link with a token that differs from the open page behind the # alone would load nothing, and leave it there.
addEventListener("hashchange", () => new URLSearchParams(location.hash.slice(1)).has("token") && location.reload());

// What the host has put beside the page: which archives it may ask. Most hosts have none, and then it asks nobody. A host that keeps silent
// does not keep the page from beginning.
async function hostConfiguration() {
  try {
    const answer = await fetch("config.json", { cache: "no-cache", signal: AbortSignal.timeout(LONGEST_WAIT) });
    return answer.status === 200 ? await answer.text() : "";
  } catch {
    return "";
  }
}

// Origins besides the page's own that its policy lets it speak to.
function otherOrigins() {
  const policy = document.querySelector("meta[http-equiv=Content-Security-Policy]").content;
  const allowed = policy.split(";").find((rule) => rule.trim().startsWith("connect-src")) ?? "";
  return allowed.trim().split(/\s+/).slice(1).filter((origin) => origin !== "'self'").join(" ");
}

// A field of the address, whatever letters its name is written in; several of them with commas between.
function field(name) {
  const fields = [...new URLSearchParams(location.search)];
  return fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value).join(",");
}

function fail(...sentences) {
  document.body.dataset.state = "failed";
  document.getElementById("trouble").replaceChildren(
    ...sentences.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })),
  );
}

// The smallest module that holds an instruction of fixed-width SIMD: (func (result v128) (i8x16.splat (i32.const 0))).
const simd = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

function canCompute() {
  return typeof WebAssembly === "object" && WebAssembly.validate(simd);
}

async function hasWebGpu() {
  try {
    return Boolean(await navigator.gpu?.requestAdapter());
  } catch {
    return false;
  }
}

// The binary, counted and compiled as it comes: a host that serves one file after the other may not get to the next before
// this one is taken. Its size is known from the build: a compressed transfer does not say it.
async function fetchBinary() {
  const size = Number(script.dataset.wasmBytes);
  const response = await fetch("attention_anatomy_web_bg.wasm" + version);
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  let received = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      received += chunk.length;
      bar.value = Math.min(received / size, 1);
      step.textContent = `Loading: ${(received / 1e6).toFixed(1)} of ${(size / 1e6).toFixed(1)} MB`;
      controller.enqueue(chunk);
    },
  });
  const counted = response.body.pipeThrough(counter);
  return WebAssembly.compileStreaming(new Response(counted, { headers: { "Content-Type": "application/wasm" } }));
}

// The program has a fault in it, in the page or in its worker. The first one is told: what comes after it comes of it.
function fault(viewer, heading, what, ...further) {
  const { state } = document.body.dataset;
  if (state === "loading") {
    fail(heading + ": there is a fault in the program. Please reload the page.", what);
  }
  if (state !== "running") {
    return;
  }
  let kept = false;
  try {
    kept = viewer.save();
  } catch {
    // Then it is not.
  }
  const edits = kept
    ? "Your edits are kept: after a reload, open the same scan, and they are offered."
    : "What you drew last may be lost; earlier edits are offered after a reload, when the same scan is opened.";
  const reload = { name: "Reload the page", act: () => location.reload() };
  message(heading, ["This is a fault in the program, not in your scan.", edits], what, [reload, ...further]);
}

// What ends the program without its being able to say so: memory that is used up, an error of the browser in a call.
function hearFaults(viewer) {
  const hear = (error) => {
    // Not what an extension of the browser does.
    if (/attention_anatomy_web|pace\.js|wasm/.test(error?.stack)) {
      fault(viewer, "The viewer has stopped", String(error));
    }
  };
  addEventListener("error", (event) => hear(event.error));
  addEventListener("unhandledrejection", (event) => hear(event.reason));
}

// A worker may stop before the page has begun: that is said once it has. What is open can still be looked at.
function hearOfWorker(viewer, running) {
  const stay = { name: "Keep this page open", act: unmessage };
  window.attention_anatomy_worker_stopped = (why) =>
    running.then(() => fault(viewer, "The viewer can no longer open, outline or save", why, stay));
}

// Said once in a browser.
function sayWithoutWebGpu() {
  const told = "attention-anatomy/told-without-webgpu";
  try {
    if (localStorage.getItem(told)) {
      return;
    }
    localStorage.setItem(told, "yes");
  } catch {
    // A browser that keeps nothing hears it every time.
  }
  line(
    "webgpu",
    "This browser offers no WebGPU: organs are outlined on the processor, a few slices a second. Chrome or Edge 113, Safari 26 " +
      "and Firefox 141 or later have it, over https.",
  );
}

async function run() {
  // A reload takes the token along: it would be lost.
  await update.takeNewest(() => token && history.replaceState(history.state, "", "#token=" + encodeURIComponent(token)));
  if (!canCompute()) {
    fail(
      "This browser cannot run the viewer: it lacks WebAssembly with SIMD.",
      "Please use a current Chrome, Edge, Firefox or Safari (16.4 or later).",
    );
    return;
  }
  let viewer;
  let archives;
  try {
    const [bindings, binary, found] = await Promise.all([
      import("./attention_anatomy_web.js" + version),
      fetchBinary(),
      hostConfiguration(),
    ]);
    archives = found;
    await bindings.default({ module_or_path: binary });
    viewer = bindings;
  } catch (error) {
    fail("The viewer could not be loaded. Please check the connection and reload the page.", String(error));
    return;
  }
  step.textContent = "Starting";
  bar.removeAttribute("value");
  let begun;
  hearOfWorker(viewer, new Promise((running) => (begun = running)));
  const wanted = new URLSearchParams(location.search);
  const webgpu = await hasWebGpu();
  try {
    viewer.prepare({
      repaint: pace(),
      // How many of them compute, where it is not left to the viewer.
      worker: "worker.js" + version + (wanted.has("workers") ? "#workers=" + wanted.get("workers") : ""),
      webgpu,
      sample: wanted.has("sample"),
      device: wanted.get("device") ?? "",
      archives,
      connects: otherOrigins(),
      studies: field("StudyInstanceUIDs"),
      series: field("SeriesInstanceUIDs"),
      token,
      lost: graphics.lost,
      fault: (what) => fault(viewer, "The viewer has stopped", what),
    });
    await graphics.show(viewer);
  } catch (error) {
    fail(
      "The viewer could not be started: this browser offers neither WebGPU nor WebGL 2 to draw with.",
      "Please allow graphics acceleration in the settings of the browser, or use a current Chrome, Edge, Firefox or Safari.",
      String(error),
    );
    return;
  }
  if (document.body.dataset.state === "loading") {
    document.body.dataset.state = "running";
  }
  begun();
  // A tab that is opened behind others begins, too: of a canvas that nobody sees eframe is told no size, and draws no first frame, before.
  if (document.hidden) {
    document.dispatchEvent(new Event("visibilitychange"));
  }
  hearFaults(viewer);
  if (!webgpu) {
    sayWithoutWebGpu();
  }
  // For whoever drives the page from outside: what it shows, as data.
  window.attention_anatomy_status = () => JSON.parse(viewer.status() || "null");
  window.attention_anatomy_labels = (slice) => viewer.labels(slice);
  import("./mirror.js" + version).then(({ keepMirror }) => keepMirror(viewer));
  update.keepForOffline(viewer.save);
}

run();
