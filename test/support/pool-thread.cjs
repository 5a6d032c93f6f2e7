// A thread of a pool that does what it is told: waits, hangs, holds memory, fails or ends.
const { setTimeout } = require('node:timers');
const { parentPort } = require('node:worker_threads');

const held = [];

parentPort.on('message', ({ argument }) => {
  if (argument === 'hang') for (;;);
  if (argument === 'hold') for (;;) held.push(new Array(10_000).fill(held.length));
  if (argument === 'end') process.exit();
  if (argument === 'throw') throw new Error('thrown in the thread');
  if (argument === 'error') parentPort.postMessage({ error: new Error('an answer of its own') });
  else setTimeout(() => parentPort.postMessage({ result: argument }), 5);
});
