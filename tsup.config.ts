import { defineConfig } from 'tsup';

const library = { index: 'src/index.ts', node: 'src/node.ts' };

export default defineConfig({
  // One build for all entries: the command lines share the library's chunks.
  entry: {
    ...library,
    'cli/qsnap': 'src/cli/qsnap/main.ts',
    'cli/qsnap-img': 'src/cli/qemu-img/main.ts',
  },
  format: 'esm',
  target: 'node20',
  platform: 'node',
  dts: { entry: library },
  clean: true,
  sourcemap: true,
  splitting: true,
  treeshake: false,
  removeNodeProtocol: false,
  external: ['fs-native-extensions'],
});
