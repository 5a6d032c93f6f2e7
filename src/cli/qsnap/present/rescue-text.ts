import type { RebuiltPart, RescuedDisk, RescuePlan, Sureness } from '../../../index.js';
import { printable, printableText } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { countText, sizeText } from '../../text.js';
import type { Rescued } from './rescued.js';

const COLUMNS: readonly Column[] = [
  { title: 'DISK', align: 'left' },
  { title: 'SNAPSHOT', align: 'left', widthMax: 32 },
  { title: 'HOW SURE', align: 'left' },
  { title: 'FOUND BY', align: 'left' },
  { title: 'SIZE', align: 'right' },
  { title: 'MAPPED', align: 'right' },
  { title: 'LOST', align: 'right' },
  { title: 'TAKEN', align: 'left' },
];

/** What each way to a disk is called. */
const FOUND_BY: Readonly<Record<RescuedDisk['origin'], string>> = {
  named: 'its pointer',
  'one-bit': 'its pointer, one bit mended',
  'old-table': 'a snapshot table',
  unnamed: 'its L1 table alone',
  rebuilt: 'its L2 tables alone',
};

/** How sure an L1 table is that was found so. */
const SURE_BY: Readonly<Record<RescuedDisk['origin'], Sureness>> = {
  named: 'certain',
  'one-bit': 'likely',
  'old-table': 'likely',
  unnamed: 'likely',
  rebuilt: 'guess',
};

const HEADER_TEXT: Readonly<Record<RescuePlan['evidence']['head']['from'], string>> = {
  header: 'the header is there',
  'old-header': "the header is lost; another one was found, which may be the guest's",
  none: 'no header is left; what it said was told from the tables',
};

const LUKS_TEXT: Readonly<
  Record<RescuePlan['evidence']['head']['luksHeader'], string | undefined>
> = {
  none: undefined,
  whole: undefined,
  cut: 'the file ends inside the LUKS header: perhaps no passphrase opens the copy',
  lost: 'the LUKS header is lost: the copy is not encrypted, and has the data as it is stored',
};

/** What was found, one disk a line, and what is not known. */
export function rescuePlanLines({ path, plan, disks }: Rescued): readonly string[] {
  const { head, format } = plan.evidence;
  const rows = plan.disks.map((disk) => rowOf(disk, disks.includes(disk)));
  const { snapshotsLost } = plan;
  const mended = plan.disks.reduce((sum, { mendedPointers }) => sum + mendedPointers, 0);
  const cluster = sizeText(format.geometry.clusterBytes);
  return [
    `${printableText(path)}: ${countText(plan.disks.length, 'disk')} found`,
    `  ${HEADER_TEXT[head.from]}; clusters of ${cluster}`,
    ...rebuiltLines(plan, disks),
    ...headerLines(head),
    ...clusterSizeLines(plan),
    ...(snapshotsLost > 0 ? [`  ${countText(snapshotsLost, 'snapshot')} left no entry`] : []),
    ...(mended > 0 ? [`  ${countText(mended, 'pointer')} to data had a flipped bit`] : []),
    ...unexplainedLines(plan),
    ...tableLines(COLUMNS, rows),
    ...plan.disks.flatMap(({ id, sizeInDoubt, diskSizeBytes }) =>
      sizeInDoubt
        ? [`${id}: the size of ${diskSizeBytes} bytes is in doubt; --disk-size sets another`]
        : [],
    ),
    ...plan.disks.flatMap(({ id, hint }) => (hint === undefined ? [] : [`${id}: ${hint}`])),
  ];
}

/** How sure each part is that was made anew because somebody asked for it. */
function rebuiltLines(
  { evidence, disks: found }: RescuePlan,
  disks: readonly RescuedDisk[],
): readonly string[] {
  const snapshots = disks.filter(({ root }) => root.snapshot !== undefined).length;
  const origins = (Object.keys(FOUND_BY) as RescuedDisk['origin'][]).flatMap((one) => {
    const count = found.filter(({ origin }) => origin === one).length;
    return count === 0 ? [] : [`${count} by ${FOUND_BY[one]} (${SURE_BY[one]})`];
  });
  const text: Readonly<Record<RebuiltPart, string>> = {
    header: {
      header: 'header: as it is',
      'old-header': 'header: from an older one that was found (likely)',
      none: 'header: made from what the tables tell (likely); what it said besides is lost',
    }[evidence.head.from],
    snapshots: `snapshot table: ${countText(snapshots, 'entry', 'entries')} of tables that were found (likely)`,
    l1: `L1 tables: ${origins.join(', ')}`,
    refcounts: 'refcounts: counted anew from the tables (certain)',
  };
  return evidence.rebuilt.map((part) => `  ${text[part]}`);
}

/** What the header says that can't be so. */
function headerLines({ luksHeader, dataFile }: RescuePlan['evidence']['head']): readonly string[] {
  const luks = LUKS_TEXT[luksHeader];
  const data =
    'the header says that the data lies in another file, but the tables lead to data here';
  return [
    ...(luks === undefined ? [] : [`  ${luks}`]),
    ...(dataFile === 'unnamed' ? [`  ${data}`] : []),
  ];
}

function clusterSizeLines({ clusterSizeDoubt }: RescuePlan): readonly string[] {
  return {
    none: [],
    mended: [
      '  the header says another cluster size, which brings back less: a bit of it has flipped',
    ],
    open: ['  this cluster size is in doubt; --cluster-size SIZE looks for tables of another'],
  }[clusterSizeDoubt];
}

/** What the refcounts know of and no disk accounts for, and whether a disk may have lost it. */
function unexplainedLines({ unexplained, disks }: RescuePlan): readonly string[] {
  const { clusters, withData, overcounted } = unexplained;
  const data = `${withData === 0 ? 'none' : withData} ${withData < 2 ? 'holds' : 'hold'} data`;
  const inUse = countText(clusters, 'cluster');
  const unled = `nothing that was found, guesses aside, leads to ${inUse} in use: ${data}`;
  const over = `less leads to ${countText(overcounted, 'cluster')} of data than the refcounts say`;
  const isInDoubt = disks.some(({ tablesInDoubt }) => tablesInDoubt > 0);
  return [
    ...(clusters > 0 ? [`  ${unled}`] : []),
    ...(overcounted > 0 ? [`  ${over}`] : []),
    ...(isInDoubt
      ? ['  perhaps not all came back of a disk with "?": its tables have room for more']
      : []),
  ];
}

/** A question mark says that there may be more. */
function lostText({ lostBytes, lostVmStateBytes, tablesInDoubt }: RescuedDisk): string {
  const lost = lostBytes + lostVmStateBytes;
  if (tablesInDoubt > 0) return lost === 0 ? '?' : `${sizeText(lost)}?`;
  return lost === 0 ? '-' : sizeText(lost);
}

function rowOf(disk: RescuedDisk, isTaken: boolean): readonly string[] {
  const { snapshot } = disk.root;
  return [
    disk.id,
    snapshot === undefined ? '-' : printable(snapshot.nameBytes),
    disk.sureness,
    FOUND_BY[disk.origin],
    sizeText(disk.diskSizeBytes),
    sizeText(disk.mappedBytes),
    lostText(disk),
    isTaken ? 'yes' : 'no',
  ];
}

/** What was written; undefined where nothing was. */
export function rescuedLine({ plan, disks, output }: Rescued): string | undefined {
  if (output === undefined) return undefined;
  const { path, report } = output;
  const lost = disks.reduce((sum, disk) => sum + disk.lostBytes + disk.lostVmStateBytes, 0);
  const rest = lost === 0 ? '' : `; what is lost, ${sizeText(lost)}, reads as zeros`;
  return (
    `Rescued ${countText(disks.length, 'disk')} to ${printableText(path)}: ` +
    `${sizeText(report.dataBytes)} of data${rest}.${leftOutText(plan, disks)}`
  );
}

/** Nobody would look for a disk that every image has among those that were left out. */
function leftOutText(plan: RescuePlan, disks: readonly RescuedDisk[]): string {
  const isLeftOut = plan.disks.some((disk) => disk.kind === 'active' && !disks.includes(disk));
  if (!isLeftOut) return '';
  return '\nThe active disk was left out, and is empty in the copy; --take active takes what was found of it.';
}
