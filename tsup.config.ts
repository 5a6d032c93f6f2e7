import { defineConfig } from 'tsup';

export default defineConfig([
  {
    entry: { index: 'src/index.ts', node: 'src/node.ts' },
    format: 'esm',
    target: 'node20',
    platform: 'neutral',
    dts: true,
    clean: true,
    sourcemap: true,
    splitting: true,
    removeNodeProtocol: false,
  },
  {
    entry: { 'cli/qsnap': 'src/cli/qsnap/main.ts', 'cli/qsnap-img': 'src/cli/qemu-img/main.ts' },
    format: 'esm',
    target: 'node20',
    platform: 'node',
    splitting: true,
    removeNodeProtocol: false,
  },
]);
