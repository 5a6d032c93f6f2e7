/** Prints what `vitest --coverage` counted, and fails where it is less than a floor. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { belowFloors, byFolder, type Coverage } from './floors.js';

/** The part of istanbul's format that is read here. */
interface FileCounts {
  readonly path: string;
  readonly fnMap: Readonly<
    Record<string, { readonly name: string; readonly loc: { readonly start: { line: number } } }>
  >;
  readonly f: Readonly<Record<string, number>>;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function coverageOf({ path, fnMap, f }: FileCounts): Coverage {
  const uncalled = Object.entries(fnMap).filter(([id]) => f[id] === 0);
  return {
    path: path.slice(ROOT.length).replaceAll('\\', '/'),
    functions: Object.keys(fnMap).length,
    uncalled: uncalled.map(([, { name, loc }]) =>
      name.startsWith('(anonymous') ? `line ${loc.start.line}` : `${name} (line ${loc.start.line})`,
    ),
  };
}

const text = readFileSync(`${ROOT}coverage/coverage-final.json`, 'utf8');
const files = Object.values(JSON.parse(text) as Record<string, FileCounts>).map(coverageOf);

console.log(`${'folder'.padEnd(24)} files  functions  called      %`);
for (const { folder, files: count, functions, called } of byFolder(files)) {
  const percent = functions === 0 ? '' : ((called * 100) / functions).toFixed(1);
  console.log(
    folder.padEnd(24) +
      [String(count).padStart(6), String(functions).padStart(11), String(called).padStart(8)].join(
        '',
      ) +
      percent.padStart(7),
  );
}
const wanted = process.argv.slice(2);
for (const { path, uncalled } of files) {
  if (uncalled.length > 0 && wanted.some((prefix) => path.startsWith(prefix))) {
    console.log(`${path}: no test calls ${uncalled.join(', ')}`);
  }
}

const below = belowFloors(files);
for (const sentence of below) console.log(`below the floor: ${sentence}`);
if (below.length > 0) process.exitCode = 1;
