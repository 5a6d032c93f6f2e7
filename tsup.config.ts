import { readFileSync } from 'node:fs';
import path from 'node:path';
import { transform, type Plugin } from 'esbuild';
import { defineConfig, type Options } from 'tsup';

const library = { index: 'src/index.ts', node: 'src/node/index.ts', web: 'src/web/index.ts' };

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
    const origins = {
      index: originsOf(library.index),
      internal: originsOf('src/internal.ts'),
      'node/index': originsOf(library.node),
    };
    const entries = /^import \{([^}]*)\} from '(?:\.\.\/)+(index|internal|node\/index)\.js';/gm;
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

/**
 * commander loads `node:child_process` for subcommands that are programs of their own, and half of Node
 * with it. There are none here: it is loaded should anybody ask for it.
 */
const lazyChildProcess: Plugin = {
  name: 'lazy-child-process',
  setup(build) {
    build.onLoad({ filter: /\/commander\/lib\/command\.js$/ }, ({ path: file }) => {
      const text = readFileSync(file, 'utf8');
      const line = /^const childProcess = (require\('node:child_process'\));$/m;
      if (!line.test(text)) throw new Error(`${file} no longer loads child_process as it did`);
      const lazy = text.replace(line, '');
      return { contents: lazy.replaceAll('childProcess.', "require('node:child_process').") };
    });
  },
};

/** The programs tell their version, and need nothing else of the manifest. */
const versionAlone: Plugin = {
  name: 'version-alone',
  setup(build) {
    build.onLoad({ filter: /\/package\.json$/ }, ({ path: file }) => {
      const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
      return { loader: 'json', contents: JSON.stringify({ version }) };
    });
  },
};

/** Who gets one of these in a program gets its licence, which asks for that. */
const LICENCES = ['commander', 'picomatch', 're2js', 'yaml'].map((name) => ({
  folder: `node_modules/${name}/`,
  text: `/*\n${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, 'utf8')}*/\n`,
}));

/**
 * CommonJS of a program's chunks: Node starts in three quarters of the time that modules take. What
 * chunks take from each other becomes plain constants; by way of getters, as usual, the hot loops would
 * take twice as long.
 */
const asCommonJs: NonNullable<Options['plugins']>[number] = {
  name: 'as-common-js',
  async renderChunk(code) {
    const fields = (names: string): string => names.replaceAll(' as ', ': ');
    const plain = code
      .replace(/^import \{([^}]*)\} from ("\.\/[^"]+");$/gm, (_, names: string, file: string) => {
        return `const {${fields(names)}} = require(${file});`;
      })
      .replace(/^import ("\.\/[^"]+");$/gm, 'require($1);')
      .replace(/\bimport\(("\.\/[^"]+")\)/g, 'Promise.resolve().then(() => require($1))')
      .replace(/^export \{([^}]*)\};$/gm, (_, names: string) => {
        const pairs = names
          .split(',')
          .map((name) => name.trim().split(' as ').reverse().join(': '));
        return `module.exports = {${pairs.join(', ')}};`;
      });
    if (/^import [^"]*"\.\/|^export /m.test(plain)) throw new Error('a chunk of another form');
    const options = { format: 'cjs', platform: 'node', target: 'node20' } as const;
    const { code: converted } = await transform(plain, options);
    const licences = LICENCES.filter(({ folder }) => code.includes(folder)).map(({ text }) => text);
    return { code: `'use strict';\n${licences.join('')}${converted}` };
  },
};

const common = {
  format: 'esm',
  target: 'node20',
  platform: 'node',
  splitting: true,
  treeshake: false,
  removeNodeProtocol: false,
  external: ['fs-native-extensions', 'koffi'],
} as const satisfies Options;

/** A program in a folder of its own: what it shares with the other one would lie in many small files. */
const program = (name: string, main: string): Options => ({
  ...common,
  entry: { [name]: main },
  outDir: `dist/cli/${name}`,
  outExtension: () => ({ js: '.cjs' }),
  noExternal: ['commander'],
  clean: true,
  esbuildPlugins: [directImports, lazyChildProcess, versionAlone],
  esbuildOptions: (options) => {
    options.define = { 'import.meta.url': '__filename' };
  },
  plugins: [asCommonJs],
});

export default defineConfig([
  {
    ...common,
    entry: library,
    dts: true,
    sourcemap: true,
    clean: ['dist/*', '!dist/cli'],
  },
  program('qsnap', 'src/cli/qsnap/main.ts'),
  program('qsnap-img', 'src/cli/qemu-img/main.ts'),
]);
