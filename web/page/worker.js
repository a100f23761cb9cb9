// Everything that takes time runs here: the same program as the page's, entered at another door. The page hands it over as it has
// compiled it; a helper, which computes slices for this worker, gets it from here, and the weights with it.

// Work that ends by a fault rejects a promise that nobody holds; whoever started this worker hears of errors only.
self.addEventListener("unhandledrejection", (event) => reportError(event.reason));
const start = new Promise((hear) => self.addEventListener("message", (event) => hear(event.data), { once: true }));
const { default: init, worker_main, helper_main } = await import("./attention_anatomy_web.js" + self.location.search);
const [program, weights] = await start;
await init({ module_or_path: program });
if (weights) {
  helper_main(weights);
} else {
  await worker_main();
}
