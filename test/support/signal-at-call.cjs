/**
 * Loaded before a program: `QSNAP_SIGNAL="SIGINT fdatasync 1"` sends the program that signal when it makes its first
 * call of `fs.fdatasync`, and lets the call go on when the signal has been seen.
 */
const fs = require('node:fs');
const { setTimeout } = require('node:timers');

const [signal, name, nth] = process.env.QSNAP_SIGNAL.split(' ');
const original = fs[name];
let calls = 0;
fs[name] = function (...args) {
  calls += 1;
  if (calls !== Number(nth)) return original.apply(fs, args);
  process.kill(process.pid, signal);
  setTimeout(() => original.apply(fs, args), 100);
};
// Marks of Node's own: what a promise of the call resolves to.
for (const mark of Object.getOwnPropertySymbols(original)) fs[name][mark] = original[mark];
