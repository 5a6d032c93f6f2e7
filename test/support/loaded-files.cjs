// Preloaded with `--require`: writes which files and modules of Node a program loads to the file that QSNAP_LOADED names.
const { writeFileSync } = require('node:fs');
const Module = require('node:module');

const compile = Module.prototype._compile;
const loaded = [];
Module.prototype._compile = function (content, file) {
  loaded.push({ file, bytes: content.length });
  return compile.call(this, content, file);
};
const addOn = Module._extensions['.node'];
Module._extensions['.node'] = function (module, file) {
  loaded.push({ file, bytes: 0 });
  return addOn(module, file);
};
process.on('exit', () => {
  for (const name of process.moduleLoadList) loaded.push({ file: name, bytes: 0 });
  writeFileSync(process.env.QSNAP_LOADED, JSON.stringify(loaded));
});
