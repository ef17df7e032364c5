// One step of `packages.py` in a process of its own, for the packages from npm.
//
//     node packages_node.mjs job PACKAGE wasm|tensorflow PICTURE.jpg RUNS
//     node packages_node.mjs accuracy PACKAGE wasm|tensorflow FOLDER
//
// Run in the folder that holds node_modules. Both packages run on TensorFlow.js, on its WASM backend or on tfjs-node,
// and read JPEG as face-api's own examples for these do. Prints one line of JSON, as packages_peer.py does.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const WARM_UP = 5;
// in the order of FER2013's numbers
const LABELS = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
// what face-api calls some of them
const OTHER_NAMES = { disgusted: 'disgust', fearful: 'fear', surprised: 'surprise' };
// their own notes on deprecated calls and on the backend would go between the lines
for (const kind of ['log', 'info', 'warn']) console[kind] = () => {};

for (const kind of ['INTRA', 'INTER']) process.env[`TF_NUM_${kind}OP_THREADS`] = '1';

const [task, name, backend, file, runs] = process.argv.slice(2);
const native = backend === 'tensorflow';
const modules = path.resolve('node_modules');
const require = createRequire(path.join(modules, 'here.js'));

function best(scores) {
  const [label, score] = scores.reduce((a, b) => (b[1] > a[1] ? b : a));
  return { label: OTHER_NAMES[label] ?? label, score };
}

const wasmFiles = path.join(modules, '@tensorflow/tfjs-backend-wasm/wasm-out/');

async function tensorflow() {
  if (native) return require('@tensorflow/tfjs-node');
  const tf = require('@tensorflow/tfjs');
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(wasmFiles);
  wasm.setThreadsCount(1);
  await tf.setBackend('wasm');
  await tf.ready();
  return tf;
}

function decoder(tf) {
  if (native) return (jpeg) => tf.node.decodeImage(jpeg, 3);
  const image = require('@canvas/image');
  return async (jpeg) => {
    const { data, width, height } = image.getImageData(await image.imageFromBuffer(jpeg));
    const rgb = new Int32Array(width * height * 3);
    for (let at = 0, to = 0; at < data.length; at += 4) {
      rgb[to++] = data[at];
      rgb[to++] = data[at + 1];
      rgb[to++] = data[at + 2];
    }
    return tf.tensor3d(rgb, [height, width, 3], 'int32');
  };
}

// without tfjs-node, TensorFlow.js has no reader of files
function readsFiles(tf) {
  const read = (file) => ({
    async load() {
      const model = JSON.parse(readFileSync(file));
      return tf.io.getModelArtifactsForJSON(model, async (groups) => {
        const parts = groups.flatMap((group) => group.paths).map((part) => path.join(path.dirname(file), part));
        const bytes = Buffer.concat(parts.map((part) => readFileSync(part)));
        const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
        return [groups.flatMap((group) => group.weights), data];
      });
    },
  });
  tf.io.registerLoadRouter((url) => (url.startsWith('file://') ? read(url.slice('file://'.length)) : null));
}

// each gives: its version, how it looks at a picture, and how at the pixels of a face
const packages = {
  async human() {
    const tf = await tensorflow();
    if (!native) readsFiles(tf);
    const folder = path.join(modules, '@vladmandic/human');
    const { Human } = require(path.join(folder, `dist/human.node${native ? '' : '-wasm'}.js`));
    const off = { enabled: false };
    const human = new Human({
      backend,
      wasmPath: wasmFiles,
      modelBasePath: `file://${folder}/models/`,
      cacheSensitivity: 0, // else it looks at the same picture once
      warmup: 'none',
      filter: off, gesture: off, body: off, hand: off, object: off,
      face: { detector: { maxDetected: 10 }, mesh: off, iris: off, description: off },
    });
    await human.load();
    const decode = decoder(tf);
    return {
      version: human.version,
      async whole(jpeg) {
        const tensor = await decode(jpeg);
        const result = await human.detect(tensor);
        tf.dispose(tensor);
        if (result.error) throw new Error(result.error);
        return result.face.map((face) => best(face.emotion.map((e) => [e.emotion, e.score])));
      },
      // its own network and arithmetic; its scores have two digits
      async face(pixels) {
        const scores = tf.tidy(() => {
          const small = tf.tensor4d(pixels, [1, 48, 48, 1], 'float32').div(255);
          return human.models.models.emotion.execute(tf.image.resizeBilinear(small, [64, 64], false).sub(0.5).mul(2));
        });
        const values = [...await scores.data()];
        tf.dispose(scores);
        return best(LABELS.map((label, at) => [label, values[at]]));
      },
    };
  },

  async 'face-api'() {
    const tf = await tensorflow();
    const faceapi = require(`@vladmandic/face-api/dist/face-api.node${native ? '' : '-wasm'}.js`);
    const models = path.join(modules, '@vladmandic/face-api/model');
    await faceapi.nets.tinyFaceDetector.loadFromDisk(models);
    await faceapi.nets.faceExpressionNet.loadFromDisk(models);
    const options = new faceapi.TinyFaceDetectorOptions();
    const decode = decoder(tf);
    const order = (scores) => best(scores.asSortedArray().map((e) => [e.expression, e.probability]));
    return {
      version: faceapi.version.faceapi ?? faceapi.version,
      async whole(jpeg) {
        const tensor = await decode(jpeg);
        const result = await faceapi.detectAllFaces(tensor, options).withFaceExpressions();
        tf.dispose(tensor);
        return result.map((face) => order(face.expressions));
      },
      async face(pixels) {
        const rgb = new Int32Array(pixels.length * 3);
        pixels.forEach((value, at) => rgb.fill(value, at * 3, at * 3 + 3));
        const tensor = tf.tensor3d(rgb, [48, 48, 3], 'int32');
        const scores = await faceapi.nets.faceExpressionNet.predictExpressions(tensor);
        tf.dispose(tensor);
        return order(scores);
      },
    };
  },
};

async function job(runs) {
  const started = performance.now();
  const { version, whole } = await packages[name]();
  const load = performance.now() - started;
  let faces;
  const times = [];
  for (let run = 0; run < WARM_UP + runs; run++) {
    const started = performance.now();
    faces = await whole(readFileSync(file));
    if (run >= WARM_UP) times.push(performance.now() - started);
  }
  const peak = process.resourceUsage().maxRSS / 1024;
  return { runs_on: version, load_ms: load, runs_ms: times, faces, peak_mb: peak };
}

async function accuracy() {
  const faces = readFileSync(path.join(file, 'faces.u8'));
  const labels = readFileSync(path.join(file, 'labels.u8'));
  const { face } = await packages[name]();
  let right = 0;
  for (let at = 0; at < labels.length; at++) {
    const decision = await face(faces.subarray(at * 48 * 48, (at + 1) * 48 * 48));
    right += LABELS.indexOf(decision.label) === labels[at];
  }
  return { right, faces: labels.length };
}

const result = task === 'job' ? await job(Number(runs)) : await accuracy();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
