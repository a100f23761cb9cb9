// Milliseconds of a slice in Chromium: this program's page beside onnxruntime-web, and one worker beside several; then both with WebGPU.
//
// Called by `cargo xtask bench`, which installs onnxruntime-web into the target folder:
//
//     node browser_slices.mjs CHROMIUM PAGE ONNXRUNTIME_WEB MODEL.onnx WORKERS TURNS
//
// PAGE is the page as `cargo xtask web` builds it, ONNXRUNTIME_WEB the folder `dist` of the package, MODEL the exported network.
// Whoever is measured has a Web Worker of its own and its turn; medians of the turns are printed as a table.

import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

const [chromium, page, ort, model, workersText, turnsText] = process.argv.slice(2);
const [workers, turns] = [Number(workersText), Number(turnsText)];
const SLICES = 12;
const SLICES_WITH_GPU = 2;
// The whole field; and a body in air whose box is 96 x 64 pixels, two of them a margin.
const SIZES = [
  { name: "160 x 160", columns: 160, rows: 160, body: [0, 0] },
  { name: "96 x 64", columns: 96, rows: 64, body: [92, 60] },
];

const OURS = `
import init, { milliseconds } from "/attention_anatomy_web.js";
await init({ module_or_path: "/attention_anatomy_web_bg.wasm" });
const weights = new Uint8Array(await (await fetch("/light.safetensors")).arrayBuffer());
self.onmessage = ({ data: { body, slices } }) => self.postMessage(Array.from(milliseconds(weights, body[0], body[1], slices)));
self.postMessage("ready");
`;
const OURS_WITH_GPU = `
import init, { milliseconds_on_gpu } from "/attention_anatomy_web.js";
await init({ module_or_path: "/attention_anatomy_web_bg.wasm" });
const weights = new Uint8Array(await (await fetch("/light.safetensors")).arrayBuffer());
self.onmessage = async ({ data: { slices } }) => self.postMessage(
  await milliseconds_on_gpu(weights, slices).then((times) => Array.from(times), (problem) => String(problem)));
self.postMessage("ready");
`;
// With several threads or with a GPU, as the name says.
const THEIRS = `
const gpu = self.name === "webgpu";
const ort = await import(gpu ? "/ort/ort.webgpu.min.mjs" : "/ort/ort.wasm.min.mjs");
ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = gpu ? 1 : Number(self.name);
const executionProviders = [gpu ? "webgpu" : "wasm"];
const session = await ort.InferenceSession.create("/network.onnx", { executionProviders, graphOptimizationLevel: "all" });
self.onmessage = async ({ data: { columns, rows, slices } }) => {
  const values = Float32Array.from({ length: 5 * rows * columns }, (_, n) => 0.45 + ((n * 7919) % 251) / 2500);
  const image = new ort.Tensor("float32", values, [1, 5, rows, columns]);
  const times = [];
  for (let n = 0; n <= slices; n += 1) {
    const clock = performance.now();
    const answer = await session.run({ image });
    times.push(performance.now() - clock);
    Object.values(answer).forEach((tensor) => tensor.dispose());
  }
  self.postMessage(times.slice(1));
};
self.postMessage("ready");
`;
// In the page: workers by name, and a question that waits for all that it was put to.
const HARNESS = `
window.start = (script, name) => new Promise((ready, failed) => {
  const worker = new Worker(script, { type: "module", name });
  worker.onmessage = () => ready(worker);
  worker.onerror = (event) => failed(new Error(event.message || script));
});
window.ask = (worker, question) => new Promise((heard) => {
  worker.onmessage = ({ data }) => heard(data);
  worker.postMessage(question);
});
`;

const TYPES = { html: "text/html", js: "text/javascript", mjs: "text/javascript", wasm: "application/wasm", css: "text/css" };

function contents(name) {
  const scripts = { "ours.js": OURS, "ours_with_gpu.js": OURS_WITH_GPU, "theirs.js": THEIRS };
  const made = { "bench.html": "<!DOCTYPE html><title>bench</title>", ...scripts };
  if (name in made) {
    return Buffer.from(made[name]);
  }
  if (name === "network.onnx") {
    return fs.readFileSync(model);
  }
  return fs.readFileSync(name.startsWith("ort/") ? path.join(ort, name.slice(4)) : path.join(page, name));
}

// Threads of WebAssembly need a page that is isolated from others.
const server = http.createServer((request, response) => {
  const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname).slice(1) || "index.html";
  try {
    const body = contents(name);
    response.writeHead(200, {
      "Content-Type": TYPES[name.split(".").pop()] ?? "application/octet-stream",
      "Cache-Control": "no-store",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
      "Cross-Origin-Resource-Policy": "same-origin",
    });
    response.end(body);
  } catch {
    response.writeHead(404);
    response.end();
  }
});

// Only processors; and WebGPU, on a software adapter where there is no other.
const WITHOUT_GPU = ["--disable-blink-features=WebGPU"];
const WITH_GPU = ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-vulkan=swiftshader", "--enable-gpu"];

class Browser {
  static async start(more) {
    const browser = new Browser();
    browser.profile = fs.mkdtempSync(path.join(os.tmpdir(), "attention-anatomy-bench-"));
    const flags = [
      "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
      "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", ...more,
      `--user-data-dir=${browser.profile}`, "about:blank",
    ];
    browser.process = spawn(chromium, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    browser.waiting = new Map();
    browser.last = 0;
    let rest = Buffer.alloc(0);
    browser.process.stdio[4].on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        const message = JSON.parse(rest.subarray(0, end).toString());
        rest = rest.subarray(end + 1);
        browser.waiting.get(message.id)?.(message);
        browser.waiting.delete(message.id);
      }
    });
    const { targetId } = await browser.call("Target.createTarget", { url: "about:blank" });
    browser.session = (await browser.call("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    browser.version = (await browser.call("Browser.getVersion", {})).product;
    return browser;
  }

  call(method, params) {
    this.last += 1;
    const id = this.last;
    const sessionId = method.startsWith("Target.") || method.startsWith("Browser.") ? undefined : this.session;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((done, failed) => {
      this.waiting.set(id, ({ result, error }) => (error ? failed(new Error(`${method}: ${error.message}`)) : done(result)));
    });
  }

  async evaluate(expression) {
    const answer = await this.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) {
      throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
    }
    return answer.result.value;
  }

  async open(address, ready) {
    await this.call("Page.navigate", { url: address });
    await this.until(ready);
  }

  async until(expression) {
    for (;;) {
      const value = await this.evaluate(expression).catch(() => undefined);
      if (value) {
        return value;
      }
      await new Promise((soon) => setTimeout(soon, 20));
    }
  }

  async close() {
    await Promise.race([this.call("Browser.close", {}), new Promise((late) => setTimeout(late, 3000))]).catch(() => undefined);
    const gone = new Promise((exit) => this.process.once("exit", exit));
    this.process.kill();
    await Promise.race([gone, new Promise((late) => setTimeout(late, 3000))]);
    try {
      fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    } catch (problem) {
      // What was measured was measured.
      console.error(`${this.profile} cannot be removed: ${problem.message}`);
    }
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function table(head, rows) {
  console.log(`| ${head.join(" | ")} |`);
  console.log(`|${"---|".repeat(head.length)}`);
  rows.forEach((row) => console.log(`| ${row.join(" | ")} |`));
}

// The same made-up slice, one worker of either and several: our workers compute a slice each, theirs one slice with several threads.
async function besideOnnxruntime(browser, origin) {
  await browser.open(`${origin}bench.html`, "document.readyState === 'complete'");
  await browser.evaluate(HARNESS);
  await browser.evaluate(`(async () => {
    window.ours = await Promise.all(Array.from({ length: ${workers} }, () => start("/ours.js", "ours")));
    window.theirs = { 1: await start("/theirs.js", "1"), ${workers}: ${workers} > 1 ? await start("/theirs.js", "${workers}") : undefined };
  })()`);
  const counts = workers > 1 ? [1, workers] : [1];
  const rows = [];
  for (const size of SIZES) {
    const question = JSON.stringify({ ...size, slices: SLICES });
    const times = new Map(counts.map((count) => [count, { ours: [], theirs: [], ratios: [] }]));
    for (let turn = 0; turn < turns; turn += 1) {
      for (const [count, { ours, theirs, ratios }] of times) {
        const own = await browser.evaluate(`Promise.all(ours.slice(0, ${count}).map((worker) => ask(worker, ${question})))`);
        const other = await browser.evaluate(`ask(theirs[${count}], ${question})`);
        // So many workers give so many slices in the time of one.
        ours.push(median(own.flat()) / count);
        theirs.push(median(other));
        ratios.push(ours.at(-1) / theirs.at(-1));
      }
    }
    for (const [count, { ours, theirs, ratios }] of times) {
      rows.push([size.name, count, median(ours).toFixed(1), median(theirs).toFixed(1), median(ratios).toFixed(2)]);
    }
  }
  table(["pixels", "workers or threads", "this program, ms a slice", "onnxruntime-web, ms a slice", "ratio"], rows);
}

// The sample CT in the page, from its second slice to its last.
async function inThePage(browser, origin) {
  const STATUS = "window.attention_anatomy_status?.().run";
  const counts = workers > 1 ? [1, workers] : [1];
  const speeds = new Map(counts.map((count) => [count, []]));
  for (let turn = 0; turn < turns; turn += 1) {
    for (const count of counts) {
      await browser.open(`${origin}?sample&device=cpu&workers=${count}`, `${STATUS}?.done > 0`);
      const began = await browser.evaluate(`[performance.now(), ${STATUS}.done]`);
      await browser.until(`${STATUS}?.phase === "finished"`);
      const ended = await browser.evaluate(`[performance.now(), ${STATUS}.total]`);
      speeds.get(count).push((ended[1] - began[1]) / (ended[0] - began[0]) * 1e3);
    }
  }
  const one = median(speeds.get(1));
  const rows = counts.map((count) => {
    const speed = median(speeds.get(count));
    return [count, speed.toFixed(2), (speed / one).toFixed(2)];
  });
  console.log("");
  table(["workers of the page", "slices a second, sample CT", "times one"], rows);
}

// Both with WebGPU: on a software adapter a slice takes seconds, so fewer of them. Ours comes back as labels, theirs as probabilities.
async function besideOnnxruntimeWithGpu(browser, origin) {
  await browser.open(`${origin}bench.html`, "document.readyState === 'complete'");
  const ADAPTER = "navigator.gpu?.requestAdapter().then((adapter) => adapter && `${adapter.info.vendor} ${adapter.info.architecture}`)";
  const adapter = await browser.evaluate(ADAPTER);
  if (!adapter) {
    console.log("not measured: this browser has no WebGPU here");
    return;
  }
  await browser.evaluate(HARNESS);
  await browser.evaluate(`(async () => {
    window.own = await start("/ours_with_gpu.js", "ours");
    window.other = await start("/theirs.js", "webgpu");
  })()`);
  const size = SIZES[0];
  const question = JSON.stringify({ ...size, slices: SLICES_WITH_GPU });
  const [ours, theirs, ratios] = [[], [], []];
  for (let turn = 0; turn < Math.min(turns, 3); turn += 1) {
    const times = await browser.evaluate(`ask(own, ${question})`);
    if (!Array.isArray(times)) {
      console.log(`not measured: ${times}`);
      return;
    }
    ours.push(median(times));
    theirs.push(median(await browser.evaluate(`ask(other, ${question})`)));
    ratios.push(ours.at(-1) / theirs.at(-1));
  }
  const row = [adapter, size.name, median(ours).toFixed(0), median(theirs).toFixed(0), median(ratios).toFixed(3)];
  table(["WebGPU", "pixels", "this program, ms a slice", "onnxruntime-web, ms a slice", "ratio"], [row]);
}

await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${server.address().port}/`;

async function within(flags, measure) {
  const browser = await Browser.start(flags);
  try {
    await measure(browser);
  } finally {
    await browser.close();
  }
}

try {
  await within(WITHOUT_GPU, async (browser) => {
    console.log(`${browser.version}, ${os.cpus()[0].model}, ${os.cpus().length} cores, ${turns} turns\n`);
    await besideOnnxruntime(browser, origin);
    await inThePage(browser, origin);
  });
  console.log("");
  await within(WITH_GPU, (browser) => besideOnnxruntimeWithGpu(browser, origin));
} finally {
  server.close();
}
