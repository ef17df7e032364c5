'use strict';
// The live page: one stream of events in, no request for anything else.
(() => {
  const LOST_MS = 6000; // a status comes every 2 s; three missing ones are a lost line
  const AGAIN_MS = 2000;
  const STALE_MS = 3000; // an older observation says nothing about now
  const HISTORY_MS = 60000;
  const LOOK_MS = 500;
  // By the first letters, so that "happy" and "happiness" have one colour.
  const COLOURS = { ang: 0, dis: 1, fea: 2, hap: 3, sad: 4, sur: 5, neu: 6, con: 7 };
  const CAMERA = {
    opening: ['on', 'Camera is starting'],
    online: ['on', 'Camera is on'],
    stalled: ['on', 'Camera is on, but shows nothing new'],
    offline: ['off', 'Camera is off'],
  };

  const element = (id) => document.getElementById(id);
  const emotion = element('emotion');
  const detail = element('detail');
  const bars = element('bars');
  const canvas = element('history');

  let source = null;
  let heard = 0; // when anything came, on the clock of performance.now()
  let retryAt = 0;
  let status = null;
  let seen = null; // the last observation
  let seenAt = 0;
  let rows = [];
  let spans = []; // { from, to, label } of the history, oldest first
  let drawing = false;

  const setText = (node, text) => {
    // Screen readers announce a live region whenever it is written, changed or not.
    if (node.textContent !== text) node.textContent = text;
  };

  // --- line ---------------------------------------------------------------------------------------

  function connect() {
    if (source) source.close();
    heard = performance.now();
    retryAt = 0;
    source = new EventSource('/events');
    source.addEventListener('status', (event) => {
      hear();
      status = JSON.parse(event.data);
      buildBars(status.labels);
      draw();
    });
    source.onmessage = (event) => {
      hear();
      seen = JSON.parse(event.data);
      seenAt = performance.now();
      remember(seen.faces.length ? seen.faces[0].label : null);
      draw();
    };
    source.onerror = lose;
  }

  function hear() {
    heard = performance.now();
    retryAt = 0;
    if (document.body.dataset.line !== 'open') {
      document.body.dataset.line = 'open';
      setText(element('line'), '');
    }
  }

  function lose() {
    document.body.dataset.line = 'lost';
    setText(element('line'), 'Connection lost, trying again');
    status = null;
    seen = null;
    retryAt ||= performance.now() + AGAIN_MS;
    draw();
  }

  function watch() {
    const now = performance.now();
    if (!retryAt && now - heard > LOST_MS) lose();
    // The browser comes back by itself, but not after a refusal or when the line is dead.
    if (retryAt && now > retryAt && document.body.dataset.line === 'lost') connect();
    draw();
  }

  // --- picture ------------------------------------------------------------------------------------

  const colour = (label, index) => COLOURS[label.slice(0, 3)] ?? index % 8;

  function buildBars(labels) {
    if (rows.map((row) => row.label).join() === labels.join()) return;
    rows = labels.map((label, index) => {
      const item = document.createElement('li');
      const name = document.createElement('span');
      const track = document.createElement('div');
      const fill = document.createElement('div');
      const value = document.createElement('span');
      name.className = 'name';
      name.textContent = label;
      track.className = 'track';
      track.setAttribute('role', 'meter');
      track.setAttribute('aria-label', label);
      track.setAttribute('aria-valuemin', '0');
      track.setAttribute('aria-valuemax', '100');
      fill.className = `fill c${colour(label, index)}`;
      value.className = 'value';
      track.append(fill);
      item.append(name, track, value);
      return { label, item, track, fill, value };
    });
    bars.replaceChildren(...rows.map((row) => row.item));
  }

  function remember(label) {
    const now = performance.now();
    const last = spans.at(-1);
    const close = last && now - last.to < STALE_MS;
    if (close) last.to = now;
    if (!close || last.label !== label) spans.push({ from: now, to: now, label });
    while (spans.length && spans[0].to < now - HISTORY_MS) spans.shift();
  }

  // What stands in the middle when it is no emotion, or null.
  function message(fresh) {
    if (!status) return 'No connection';
    if (!status.enabled) return 'Paused';
    if (!fresh) return 'Waiting for the camera';
    return seen.faces.length ? null : 'Nobody in view';
  }

  function draw() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      const fresh = seen !== null && performance.now() - seenAt < STALE_MS;
      const text = message(fresh);
      const face = text === null ? seen.faces[0] : null;
      emotion.classList.toggle('message', !face);
      setText(emotion, face ? face.label : text);
      setText(detail, face ? describe(face) : '');
      drawCamera();
      for (const row of rows) drawBar(row, face);
      drawHistory();
    });
  }

  function describe(face) {
    const others = seen.faces.length - 1;
    const sure = `${Math.round(face.score * 100)} %`;
    if (others === 0) return sure;
    return `${sure}, and ${others} more ${others === 1 ? 'face' : 'faces'}`;
  }

  function drawCamera() {
    const [state, text] = (status && CAMERA[status.camera]) ?? ['unknown', 'Camera: not known'];
    element('camera').dataset.camera = state;
    setText(element('camera-text'), text);
  }

  function drawBar(row, face) {
    const score = face ? face.scores[row.label] ?? 0 : 0;
    const percent = Math.round(score * 100);
    row.fill.style.transform = `scaleX(${score})`;
    row.track.setAttribute('aria-valuenow', String(percent));
    row.item.setAttribute('aria-current', String(face !== null && face.label === row.label));
    setText(row.value, face ? `${percent} %` : '');
  }

  function drawHistory() {
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext('2d');
    const now = performance.now();
    const at = (time) => width * (1 - (now - time) / HISTORY_MS);
    context.clearRect(0, 0, width, height);
    for (const span of spans) {
      const row = rows.find((row) => row.label === span.label);
      if (!row) continue;
      context.fillStyle = getComputedStyle(row.fill).backgroundColor;
      const x = Math.floor(at(span.from));
      context.fillRect(x, 0, Math.max(1, Math.ceil(at(span.to)) - x), height);
    }
  }

  // --- theme --------------------------------------------------------------------------------------

  const THEMES = ['system', 'dark', 'light'];

  function stored() {
    try {
      return localStorage.getItem('theme');
    } catch {
      return null; // storage may be switched off
    }
  }

  function applyTheme(theme) {
    document.documentElement.dataset.theme = theme;
    element('theme').textContent = theme === 'system' ? 'Theme: as the system' : `Theme: ${theme}`;
    try {
      localStorage.setItem('theme', theme);
    } catch {
      // then it lasts until the page is left
    }
  }

  element('theme').addEventListener('click', () => {
    const now = THEMES.indexOf(document.documentElement.dataset.theme);
    applyTheme(THEMES[(now + 1) % THEMES.length]);
  });

  applyTheme(THEMES.includes(stored()) ? stored() : 'system');
  connect();
  setInterval(watch, LOOK_MS);
})();
