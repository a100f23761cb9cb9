// Keeps the page's own files, so that it works offline after the first visit. Nothing else is ever kept: what a user
// opens does not pass through here.
//
// A new version is fetched beside the old one and takes over once no page of the old one is open, so that a page and its
// worker are always of one version.

const VERSION = "__VERSION__";
const FILES = ["__FILES__"];
const PREFIX = "attention-anatomy-";
const CACHE = PREFIX + VERSION;

self.addEventListener("install", (event) => {
  const page = new Request("./", { cache: "no-cache" });
  const files = FILES.map((name) => `${name}?v=${VERSION}`);
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([page, ...files])));
});

self.addEventListener("activate", (event) => {
  const drop = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((n) => n.startsWith(PREFIX) && n !== CACHE).map((n) => caches.delete(n)));
    // The page that brought this worker is of the same version: it can be served offline from now on.
    await self.clients.claim();
  };
  event.waitUntil(drop());
});

// The file of this version that an address stands for, if it is one of them.
function fileOf(url) {
  const scope = new URL("./", self.location);
  if (url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) {
    return undefined;
  }
  const name = url.pathname.slice(scope.pathname.length);
  if (name === "" || name === "index.html") {
    return "./";
  }
  const wanted = url.searchParams.get("v");
  return FILES.includes(name) && (wanted === null || wanted === VERSION) ? `${name}?v=${VERSION}` : undefined;
}

self.addEventListener("fetch", (event) => {
  const file = event.request.method === "GET" ? fileOf(new URL(event.request.url)) : undefined;
  if (file === undefined) {
    return;
  }
  const kept = async () => (await (await caches.open(CACHE)).match(file)) ?? fetch(event.request);
  event.respondWith(kept());
});
