// Everything that takes time runs here: the same binary as the page's, entered at another door.

const version = self.location.search;
const { default: init, worker_main } = await import("./attention_anatomy_web.js" + version);
await init({ module_or_path: "attention_anatomy_web_bg.wasm" + version });
await worker_main();
