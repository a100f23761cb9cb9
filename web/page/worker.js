// Everything that takes time runs here: the same binary as the page's, entered at another door.
//
// What the page posts before the binary is ready must not be lost: a module worker would drop it while it waits.

const version = self.location.search;
const early = [];
const keep = (event) => early.push(event);
self.addEventListener("message", keep);

const { default: init, worker_main } = await import("./attention_anatomy_web.js" + version);
await init({ module_or_path: "attention_anatomy_web_bg.wasm" + version });
worker_main();
self.removeEventListener("message", keep);
for (const event of early) {
  self.dispatchEvent(new MessageEvent("message", { data: event.data, ports: [...event.ports] }));
}
