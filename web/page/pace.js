// When frames are drawn.
//
// eframe asks for the next frame as soon as one is over, whether there is something to draw or not: sixty calls a second that
// keep a processor awake for nothing (4 to 7 % of a core). Here such a request waits until somebody touches the page, until the
// viewer wants to be drawn, or for half a second, whichever comes first: some of eframe's own wishes reach nobody else.

// Milliseconds.
const LONGEST_WAIT = 500;
const AWAKE_AFTER_A_TOUCH = 250;
const AWAKE_AFTER_A_WISH = 100;
const NOT_WORTH_WAITING = 34;

const TOUCHES = [
  "pointerdown", "pointermove", "pointerup", "pointercancel", "mousedown", "mousemove", "mouseup", "mouseleave", "touchstart",
  "touchmove", "touchend", "touchcancel", "wheel", "gesturechange", "keydown", "keyup", "input", "compositionstart",
  "compositionupdate", "compositionend", "copy", "cut", "paste", "focus", "blur", "dragenter", "dragover", "dragleave", "drop",
  "resize", "visibilitychange", "pageshow", "click",
];

let taken;

// Takes over the window's animation frames, once. Returns what the viewer calls when it wants to be drawn in so many milliseconds.
export function pace() {
  taken ??= takeOver();
  return taken.repaint;
}

// A canvas that changes its size is drawn at once, and so is a new one.
export function follow(canvas) {
  taken ??= takeOver();
  new ResizeObserver(taken.touched).observe(canvas);
}

function takeOver() {
  const request = window.requestAnimationFrame.bind(window);
  const cancel = window.cancelAnimationFrame.bind(window);
  // Requests that wait, by their number; the browser's own numbers are above zero.
  const waiting = new Map();
  // The browser's numbers of those that waited and do not any more, which may still be taken back.
  const released = new Map();
  let last = 0;
  let within = false;
  let awakeUntil = 0;
  let wished = Infinity;
  let timer;

  function draw(callback) {
    return request((time) => {
      const now = performance.now();
      if (wished <= now) {
        wished = Infinity;
        awakeUntil = Math.max(awakeUntil, now + AWAKE_AFTER_A_WISH);
      }
      within = true;
      try {
        callback(time);
      } finally {
        within = false;
      }
    });
  }

  function release() {
    clearTimeout(timer);
    timer = undefined;
    const callbacks = [...waiting];
    waiting.clear();
    for (const [number, callback] of callbacks) {
      const drawn = (time) => {
        released.delete(number);
        callback(time);
      };
      released.set(number, draw(drawn));
    }
  }

  function releaseIn(wait) {
    clearTimeout(timer);
    timer = setTimeout(release, wait);
  }

  function touched() {
    awakeUntil = performance.now() + AWAKE_AFTER_A_TOUCH;
    if (waiting.size > 0) {
      release();
    }
  }

  window.requestAnimationFrame = (callback) => {
    const now = performance.now();
    const wait = Math.min(wished - now, LONGEST_WAIT);
    // Only one frame asking for the next can wait: whoever asks from elsewhere has a reason.
    if (!within || now < awakeUntil || wait < NOT_WORTH_WAITING) {
      return draw(callback);
    }
    last -= 1;
    waiting.set(last, callback);
    releaseIn(wait);
    return last;
  };
  window.cancelAnimationFrame = (number) => {
    if (!waiting.delete(number)) {
      cancel(released.get(number) ?? number);
      released.delete(number);
    }
  };
  for (const kind of TOUCHES) {
    window.addEventListener(kind, touched, { capture: true, passive: true });
  }

  function repaint(milliseconds) {
    const now = performance.now();
    wished = Math.min(wished, now + milliseconds);
    if (waiting.size === 0) {
      return;
    }
    const wait = Math.min(wished - now, LONGEST_WAIT);
    if (wait < NOT_WORTH_WAITING) {
      release();
    } else {
      releaseIn(wait);
    }
  }

  return { touched, repaint };
}
