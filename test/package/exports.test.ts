import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { build, type BuildResult } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import * as engine from '../../src/index.js';
import * as files from '../../src/node/index.js';
import * as web from '../../src/web/index.js';
import { expectedContents, loadFixture, recipe } from '../support/fixture.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  type: string;
  bin: Record<string, string>;
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};

function npx(...args: readonly string[]): {
  stdout: string;
  stderr: string;
  status: number | null;
} {
  const [tool, ...rest] = args;
  return spawnSync(tool!, rest, {
    cwd: ROOT,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
}

beforeAll(() => {
  if (['index', 'node', 'web'].every((entry) => existsSync(`${ROOT}dist/${entry}.js`))) return;
  const built = npx('npx', 'tsup');
  expect(built.status, built.stderr).toBe(0);
}, 120_000);

describe('public names', () => {
  test('of the engine', () => {
    expect(Object.keys(engine).sort()).toMatchInlineSnapshot(`
      [
        "ANOMALIES",
        "AUDIT_RULES",
        "DUMP_PARTS",
        "ERROR_CODES",
        "KNOWN_SECRETS",
        "PROFILE_NAMES",
        "QsnapError",
        "REPAIR_CLASSES",
        "auditImage",
        "backingFormat",
        "backingName",
        "blobSource",
        "checkImage",
        "choosePruned",
        "chooseRescued",
        "compactImage",
        "compareDisks",
        "computeUnsavedChanges",
        "copyDifferences",
        "copyDisk",
        "createImage",
        "dataFileName",
        "dehydrateImage",
        "diffDisks",
        "dumpImage",
        "editBitmaps",
        "editWithinRoom",
        "elfMemoryFile",
        "executePlan",
        "executeScrub",
        "executeStages",
        "executeTrim",
        "executeUndo",
        "findKnownSecrets",
        "findRule",
        "findSnapshot",
        "findVmState",
        "freedByDeleting",
        "hashDisks",
        "httpSource",
        "imageWithCandidate",
        "inferAncestry",
        "isDiskCandidate",
        "isQsnapError",
        "limeMemoryFile",
        "locateClusters",
        "locateGuest",
        "mapOwners",
        "measureQcow2",
        "measureScrub",
        "measureUsage",
        "memoryDevice",
        "newQcow2Writer",
        "newRawWriter",
        "newStreamWriter",
        "openForDump",
        "openForReading",
        "openGuestDisk",
        "openImage",
        "openQcow",
        "openVmState",
        "paddedMemoryFile",
        "partitionAt",
        "partitionNumbered",
        "placesAt",
        "placesInBlock",
        "planApply",
        "planBacking",
        "planBitmaps",
        "planCreate",
        "planDelete",
        "planDeleteInPlace",
        "planFeatureNames",
        "planRecovery",
        "planRelocation",
        "planRename",
        "planRescue",
        "planResize",
        "planScrub",
        "planStrip",
        "planTrim",
        "planWrite",
        "profileOf",
        "proposeRepair",
        "rawDisk",
        "rawMemoryFile",
        "readPartitions",
        "readTimeline",
        "recoveredRanges",
        "rehydrateImage",
        "saveUndo",
        "scanImage",
        "scrubImage",
        "sharersOf",
        "snapshotsEqualToActive",
        "trimImage",
        "utcPeriods",
        "withoutReused",
        "writeRescued",
      ]
    `);
  });

  test('of the Node entry', () => {
    expect(Object.keys(files).sort()).toMatchInlineSnapshot(`
      [
        "createNewFile",
        "createOutputFile",
        "equalBytes",
        "exportDisk",
        "fileGate",
        "fileIdentity",
        "newHash",
        "newSha256",
        "nodeCompressor",
        "nodeCryptography",
        "nodeDecompressor",
        "nodeFetch",
        "openFile",
        "openFileForEdit",
        "openFileToReplace",
        "openGroup",
        "openImageFile",
        "openUrl",
        "steadyFetch",
      ]
    `);
  });

  test('of the web entry', () => {
    expect(Object.keys(web).sort()).toEqual(['newSha256', 'webCryptography', 'webDecompressor']);
  });

  test('the built files export the same', async () => {
    for (const [entry, source] of [
      ['index', engine],
      ['node', files],
      ['web', web],
    ] as const) {
      const url = pathToFileURL(`${ROOT}dist/${entry}.js`).href;
      const built = (await import(url)) as Record<string, unknown>;
      expect(Object.keys(built).sort()).toEqual(Object.keys(source).sort());
    }
  });

  test('nothing deeper can be imported', () => {
    expect(Object.keys(manifest.exports)).toEqual(['.', './node', './web', './package.json']);
  });
});

describe('the engine and what it takes of the web entry run anywhere', () => {
  /** One script without imports, for a browser; what it can't resolve fails the build. */
  async function bundle(
    ...entries: readonly string[]
  ): Promise<BuildResult<{ write: false; metafile: true }>> {
    const contents = entries.map((entry) => `export * from './dist/${entry}.js';`).join('\n');
    return build({
      stdin: { contents, resolveDir: ROOT },
      absWorkingDir: ROOT,
      bundle: true,
      platform: 'browser',
      format: 'iife',
      globalName: 'qsnap',
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
  }

  test('no built-in module of Node is imported, by either of its names', async () => {
    const { metafile } = await bundle('index', 'web');
    const imports = Object.values(metafile.inputs).flatMap(({ imports: of }) => of);
    const bare = new Set(builtinModules);
    const ofNode = imports.filter(({ path }) => path.startsWith('node:') || bare.has(path));
    expect(ofNode).toEqual([]);
    const inputs = Object.keys(metafile.inputs).filter((path) => path !== '<stdin>');
    expect(inputs.length).toBeGreaterThan(5);
    for (const path of inputs) {
      expect(readFileSync(`${ROOT}${path}`, 'utf8')).not.toMatch(/from\s*['"]node:/);
    }
  });

  test('the engine alone holds no package', async () => {
    const { metafile } = await bundle('index');
    expect(Object.keys(metafile.inputs).filter((path) => /node_modules/.test(path))).toEqual([]);
  });

  test('it works in a world that has only what browsers have', async () => {
    const { outputFiles } = await bundle('index');
    const world = vm.createContext({ TextDecoder, TextEncoder, Blob, AbortController, URL });
    const script = `${outputFiles[0]!.text};
      qsnap.openImage(qsnap.memoryDevice(new Uint8Array(600))).then(
        () => 'opened', (error) => qsnap.isQsnapError(error) + ' ' + error.code);`;
    await expect(vm.runInContext(script, world)).resolves.toBe('true NOT_QCOW2');
  });

  test('so does what reads guest data, even without WebCrypto', async () => {
    const { outputFiles } = await bundle('index', 'web');
    const images = ['luks', 'compressed-zlib', 'compressed-zstd'];
    const bytes = Object.fromEntries(images.map((name) => [name, loadFixture(name)]));
    const world = vm.createContext({ TextDecoder, TextEncoder, setTimeout, bytes });
    const script = `${outputFiles[0]!.text};
      (async () => {
        const hashes = {};
        for (const name of Object.keys(bytes)) {
          const image = await qsnap.openImage(qsnap.memoryDevice(new Uint8Array(bytes[name])));
          const disk = await qsnap.openGuestDisk(image, {
            decompressor: qsnap.webDecompressor(),
            cryptography: qsnap.webCryptography(),
            passphrase: new TextEncoder().encode('${recipe('luks').secret!}'),
          });
          const into = new Uint8Array(await disk.sizeBytes());
          await disk.readBatch([{ at: 0, into }]);
          const hasher = qsnap.newSha256();
          hasher.update(into);
          hashes[name] = hasher.digest();
        }
        return JSON.stringify(hashes);
      })()`;
    const hashes = JSON.parse((await vm.runInContext(script, world)) as string) as unknown;
    const wanted = images.map((name) => [name, expectedContents(name).active.sha256]);
    expect(hashes).toEqual(Object.fromEntries(wanted));
  });
});

describe('the package', () => {
  test('depends on codecs and ciphers, and optionally on two add-ons; commander is in the programs', () => {
    expect(Object.keys(manifest.dependencies)).toEqual([
      '@hpcc-js/wasm-zstd',
      '@noble/ciphers',
      '@noble/hashes',
      'fzstd',
      'pako',
    ]);
    const program = readFileSync(
      new URL('../../dist/cli/qsnap/qsnap.cjs', import.meta.url),
      'utf8',
    );
    expect(program).toContain('Copyright (c) 2011 TJ Holowaychuk');
    expect(Object.keys(manifest.optionalDependencies)).toEqual([
      '@electric-sql/pglite',
      'fs-native-extensions',
      'koffi',
    ]);
    const versions = { ...manifest.dependencies, ...manifest.optionalDependencies };
    for (const version of Object.values(versions)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(manifest.type).toBe('module');
  });

  test('holds the programs, the library, the documents and nothing of the workshop', () => {
    const packed = npx('npm', 'pack', '--dry-run', '--json', '--ignore-scripts');
    expect(packed.status, packed.stderr).toBe(0);
    const [{ files: listed }] = JSON.parse(packed.stdout) as [{ files: { path: string }[] }];
    const paths = listed.map(({ path }) => path);
    const bins = Object.values(manifest.bin);
    expect(bins).toEqual(['bin/qsnap.js', 'bin/qsnap-img.js']);
    expect(paths).toEqual(
      expect.arrayContaining([
        ...bins,
        'package.json',
        'README.md',
        'LICENSE',
        'dist/index.js',
        'dist/index.d.ts',
        'dist/node.js',
        'dist/node.d.ts',
        'dist/web.js',
        'dist/web.d.ts',
        'docs/errors.md',
      ]),
    );
    expect(paths.filter((path) => /^(src|test|fixtures|bench|node_modules)\//.test(path))).toEqual(
      [],
    );
  });
});
