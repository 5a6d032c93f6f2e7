/** How much of each source file tests call that need no QEMU, and how much they must. */

/** Percent of the functions of every file. Low, as one function of four is a quarter. */
const FILE_FLOOR = 75;

/** Percent of the functions of all files of a folder, those of the folders in it included. */
export const FOLDER_FLOORS: Readonly<Record<string, number>> = {
  src: 96,
  'src/edit/plan': 97,
  'src/edit/repair': 97,
  'src/edit/tx': 97,
  'src/read/check': 98,
};

const RESCUE = 'test/oracle/rescue.test.ts rescues what QEMU made and what has lost its roots';
/** Files that have a floor of their own, and why. */
export const FILE_FLOORS: Readonly<
  Record<string, { readonly percent: number; readonly why: string }>
> = {
  'src/make/rescue/fill-lost.ts': { percent: 70, why: RESCUE },
  'src/make/rescue/mend-pointers.ts': { percent: 65, why: RESCUE },
};

export interface Coverage {
  /** Relative to the repository. */
  readonly path: string;
  readonly functions: number;
  /** Name, where it has one, and line of each function that no test calls. */
  readonly uncalled: readonly string[];
}

export interface FolderCoverage {
  readonly folder: string;
  readonly files: number;
  readonly functions: number;
  readonly called: number;
}

/** Files without a function hold types and values only: they count for nothing. */
export function byFolder(files: readonly Coverage[]): FolderCoverage[] {
  const folders = new Set(files.map(({ path }) => folderOf(path)));
  return [...folders].toSorted().map((folder) => sumOf(folder, files, folderOf));
}

/** A sentence for each floor that is not reached. */
export function belowFloors(files: readonly Coverage[]): string[] {
  const ofFiles = files.filter(isBelow).map((file) => {
    const { path, functions, uncalled } = file;
    const called = functions - uncalled.length;
    return `${path}: tests call ${called} of ${functions} functions, of which ${floorOf(path)} % are the least; not ${uncalled.join(', ')}`;
  });
  const ofFolders = Object.entries(FOLDER_FLOORS).flatMap(([folder, floor]) => {
    const { functions, called } = sumOf(folder, files, (path) =>
      path.startsWith(`${folder}/`) ? folder : '',
    );
    return called * 100 >= functions * floor
      ? []
      : [
          `${folder}/: tests call ${called} of ${functions} functions, of which ${floor} % are the least`,
        ];
  });
  return [...ofFiles, ...ofFolders];
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));
const floorOf = (path: string): number => FILE_FLOORS[path]?.percent ?? FILE_FLOOR;
const isBelow = ({ path, functions, uncalled }: Coverage): boolean =>
  (functions - uncalled.length) * 100 < functions * floorOf(path);

function sumOf(
  folder: string,
  files: readonly Coverage[],
  homeOf: (path: string) => string,
): FolderCoverage {
  const inside = files.filter(({ path, functions }) => homeOf(path) === folder && functions > 0);
  const functions = inside.reduce((sum, file) => sum + file.functions, 0);
  const uncalled = inside.reduce((sum, file) => sum + file.uncalled.length, 0);
  return { folder, files: inside.length, functions, called: functions - uncalled };
}
