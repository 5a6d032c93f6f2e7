import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Plugin } from 'esbuild';
import { defineConfig } from 'tsup';

const library = { index: 'src/index.ts', node: 'src/node.ts' };

/** Where a name of a public entry comes from. */
interface Origin {
  readonly module: string;
  readonly name: string;
}

/** The values that an entry exports again, by their public names. */
function originsOf(entry: string): ReadonlyMap<string, Origin> {
  const origins = new Map<string, Origin>();
  const text = readFileSync(entry, 'utf8');
  for (const [, names, from] of text.matchAll(/^export \{([^}]*)\} from '([^']+)';/gm)) {
    const module = path.resolve(path.dirname(entry), from!.replace(/\.js$/, '.ts'));
    for (const part of names!.split(',').map((word) => word.trim())) {
      const [name, as = name] = part.split(' as ');
      if (part !== '' && !part.startsWith('type ')) origins.set(as!, { module, name: name! });
    }
  }
  return origins;
}

/**
 * The command lines take the engine from its public entries. In the build each name comes from its
 * own module, so that a command loads what it needs and not the whole engine with it.
 */
const directImports: Plugin = {
  name: 'direct-imports',
  setup(build) {
    const origins = { index: originsOf(library.index), node: originsOf(library.node) };
    const entries = /^import \{([^}]*)\} from '(?:\.\.\/)+(index|node)\.js';/gm;
    build.onLoad({ filter: /\/src\/cli\/.*\.ts$/ }, ({ path: file }) => ({
      loader: 'ts',
      contents: readFileSync(file, 'utf8').replace(entries, (line, names: string, entry) => {
        const parts = names.split(',').map((word) => word.trim());
        const values = parts.filter((part) => part !== '' && !part.startsWith('type '));
        const imports = values.map((local) => {
          const origin = origins[entry as keyof typeof origins].get(local);
          if (origin === undefined) throw new Error(`${file}: ${local} is not in ${String(entry)}`);
          return `import { ${origin.name} as ${local} } from ${JSON.stringify(origin.module)};`;
        });
        // As many lines as there were, for the source maps.
        return imports.join(' ') + '\n'.repeat(line.split('\n').length - 1);
      }),
    }));
  },
};

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
  esbuildPlugins: [directImports],
});
