// Keeps the page's own files, so that it works offline after the first visit. Nothing else is ever kept: what a user
// opens does not pass through here.
//
// A new version is fetched beside the old one and takes over when a page asks for it, or once no page is open. The files of
// the old one stay until its last page is gone, so that a page and its worker are always of one version.

const VERSION = "__VERSION__";
const FILES = ["__FILES__"];
const PREFIX = "attention-anatomy-";
const PAGE = "./";

// The page as its folder gives it, or as a file where a host answers for files alone, as an Orthanc does.
async function keepPage(cache) {
  let answer;
  for (const address of [PAGE, "./index.html"]) {
    answer = await fetch(address, { cache: "no-cache" });
    if (answer.ok) {
      return cache.put(PAGE, answer);
    }
  }
  throw new TypeError(`the page itself cannot be kept: the host answers ${answer.status}`);
}

self.addEventListener("install", (event) => {
  const files = FILES.map((name) => `${name}?v=${VERSION}`);
  const keep = async () => {
    const cache = await caches.open(PREFIX + VERSION);
    await Promise.all([keepPage(cache), cache.addAll(files)]);
  };
  event.waitUntil(keep());
});

// Removes the files of versions of which no page is open: every page holds a lock with the name of its version.
async function tidyUp() {
  const { held } = (await navigator.locks?.query()) ?? { held: [] };
  const open = new Set([PREFIX + VERSION, ...held.map((lock) => lock.name)]);
  // Another version that is being fetched, or waits to take over, is not older.
  const { installing, waiting } = self.registration;
  const names = installing || waiting ? [] : await caches.keys();
  await Promise.all(names.filter((n) => n.startsWith(PREFIX) && !open.has(n)).map((n) => caches.delete(n)));
}

self.addEventListener("activate", (event) => {
  // The page that brought this worker is of the same version: it can be served offline from now on.
  event.waitUntil(tidyUp().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") {
    event.waitUntil(self.skipWaiting());
  } else if (event.data === "tidy up") {
    event.waitUntil(tidyUp());
  }
});

// The file that an address stands for and its version, if it is one of the page's own.
function fileOf(url) {
  const scope = new URL("./", self.location);
  if (url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) {
    return undefined;
  }
  const name = url.pathname.slice(scope.pathname.length);
  if (name === "" || name === "index.html") {
    return [PAGE, VERSION];
  }
  const version = url.searchParams.get("v") ?? VERSION;
  // What an older version consists of only its cache knows.
  return version !== VERSION || FILES.includes(name) ? [`${name}?v=${version}`, version] : undefined;
}

// What the host says of archives is asked for every time; where there is no network or no such file, there is none.
async function configuration(request) {
  const answer = await fetch(request).catch(() => undefined);
  return answer?.ok ? answer : new Response(null, { status: 204 });
}

self.addEventListener("fetch", (event) => {
  if (event.request.url === new URL("./config.json", self.location).href) {
    event.respondWith(configuration(event.request));
    return;
  }
  const file = event.request.method === "GET" ? fileOf(new URL(event.request.url)) : undefined;
  if (file === undefined) {
    return;
  }
  const [name, version] = file;
  const kept = async () => (await caches.match(name, { cacheName: PREFIX + version })) ?? fetch(event.request);
  event.respondWith(kept());
});
