// Preloaded with `--require`: a program finds no module by the name in QSNAP_HIDDEN, as where it is not
// installed.
const Module = require('node:module');

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  if (request === process.env.QSNAP_HIDDEN) throw new Error(`Cannot find module '${request}'`);
  return resolve.call(this, request, ...rest);
};
