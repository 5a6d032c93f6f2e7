import {
  chooseRescued,
  openForReading,
  planRescue,
  writeRescued,
  type RebuiltPart,
  type RescuedDisk,
  type RescuePlan,
  type RescueReport,
} from '../../../index.js';
import { foreseeRescued, isAllRescued, refuseUnsound } from '../../../internal.js';
import { createOutputFile, type InputFile } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { namedFiles } from '../named-files.js';
import { printJson, printLines, type Context } from '../context.js';
import { lostMapJson, rescueJson } from '../present/rescue-json.js';
import type { Rescued } from '../present/rescued.js';
import { rescuedLine, rescuePlanLines } from '../present/rescue-text.js';
import type { OpenedSource } from '../../remote/open-source.js';
import { withSource, type OpenSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { besideFinished, newTextFile } from '../text-file.js';

/** Flags of `rescue`. */
export interface RescueFlags {
  readonly output?: string;
  readonly plan?: boolean;
  readonly take?: readonly string[];
  readonly leave?: readonly string[];
  readonly all?: boolean;
  readonly map?: string;
  readonly clusterSize?: number;
  readonly diskSize?: number;
  /** Of `recover --rebuild`. */
  readonly rebuild?: readonly RebuiltPart[];
  readonly force?: boolean;
}

/** `qsnap rescue IMAGE -o COPY` */
export function rescue(path: string, flags: RescueFlags, context: Context): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      return await withSource(path, context, (open) => rescueFrom(open, flags, signal, context));
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

async function rescueFrom(
  { path, source, progress }: OpenSource,
  flags: RescueFlags,
  signal: AbortSignal,
  context: Context,
): Promise<ExitCode> {
  progress.phase(`looking through ${path}`);
  const plan = await planRescue(source, {
    clusterBytes: flags.clusterSize,
    diskSizeBytes: flags.diskSize,
    rebuild: flags.rebuild,
    onProgress: progress.update,
    signal,
  });
  const disks = chooseRescued(plan, flags);
  const inputs = [source, ...(await namedFilesOf(source, path))];
  const map = await mapFile(inputs, flags);
  try {
    let output: Rescued['output'];
    if (flags.plan === true) await foreseeRescued(plan, disks);
    else {
      progress.phase(`writing ${flags.output!}`);
      const report = await written(source, inputs, plan, disks, flags, signal, progress.update);
      output = { path: flags.output!, report };
    }
    const rescued: Rescued = { path, plan, disks, output };
    await besideFinished(output?.path, async () => map?.write(lostMapJson(rescued)));
    progress.stop();
    tell(rescued, context);
  } finally {
    await map?.discard();
  }
  return isAllRescued(plan, disks) ? EXIT_CODES.done.code : EXIT_CODES.corrupt.code;
}

/** Writes the copy under a temporary name, checks it, and gives it its name. */
async function written(
  source: OpenedSource,
  inputs: readonly InputFile[],
  plan: RescuePlan,
  disks: readonly RescuedDisk[],
  { output, force }: RescueFlags,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<RescueReport> {
  const mode = await source.permissions?.();
  const replace = force === true;
  const file = await createOutputFile(output!, {
    replace,
    inputs,
    ...(mode !== undefined && { mode }),
  });
  try {
    const report = await writeRescued(plan, disks, file.device, { onProgress, signal });
    await refuseUnsound(file.device, { corruptions: 0, checkErrors: 0, leaks: 0 });
    await file.commit();
    return report;
  } finally {
    await file.discard();
  }
}

async function mapFile(inputs: readonly InputFile[], { map, force, output }: RescueFlags) {
  if (map === undefined) return undefined;
  const all = output === undefined ? inputs : [...inputs, output];
  return newTextFile(map, { replace: force === true, inputs: all });
}

/** What the header names, as far as it can be read. */
async function namedFilesOf(source: OpenedSource, path: string): Promise<readonly string[]> {
  try {
    return namedFiles(await openForReading(source), path);
  } catch {
    return [];
  }
}

function tell(rescued: Rescued, context: Context): void {
  if (context.json) {
    printJson(context, rescueJson(rescued));
    return;
  }
  if (context.quiet && rescued.output !== undefined) return;
  printLines(context, rescuePlanLines(rescued));
  const line = rescuedLine(rescued);
  if (line !== undefined) printLines(context, [line]);
}
