// Preloaded with `--require`: a program finds no koffi, as where optional dependencies are not installed.
const Module = require('node:module');

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  if (request === 'koffi') throw new Error(`Cannot find module '${request}'`);
  return resolve.call(this, request, ...rest);
};
