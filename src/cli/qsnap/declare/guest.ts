/** The commands that read guest data. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { CompareFlags } from '../commands/compare.js';
import type { ExportFlags } from '../commands/export.js';
import { formatOf, type ExportFormat } from '../export-format.js';
import { SELECTOR_HELP } from '../help-texts.js';
import { newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

export function backingOption(): Option {
  return new Option('--backing', 'open the files that an image names');
}

/** For commands that decrypt. */
export function passphraseOption(): Option {
  return new Option('--passphrase-file <file>', 'for an encrypted image; - for stdin');
}

export function formatOption(flags: string, description: string): Option {
  return new Option(flags, description).choices(['raw', 'qcow2']);
}

/** Adds `compare`. */
export function addCompare(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'compare', 'Compare what two disks hold, of images or of snapshots.')
    .argument('<image>', 'a qcow2 image or a raw disk')
    .argument('[other]', 'another one; without it <image> itself')
    .option('-s, --snapshot <snapshot>', 'of <image>, instead of its active disk')
    .option('-w, --with-snapshot <snapshot>', 'of <other>, instead of its active disk')
    .addOption(formatOption('--format <format>', 'of <image>; without it as it begins'))
    .addOption(formatOption('--with-format <format>', 'of <other>'))
    .option('--max-ranges <n>', 'ranges that differ to print', parseRanges, 10)
    .addOption(backingOption())
    .addOption(passphraseOption())
    .action(
      async (image: string, other: string | undefined, flags: CompareFlags, command: Command) => {
        if (
          other === undefined &&
          flags.snapshot === undefined &&
          flags.withSnapshot === undefined
        ) {
          command.error('error: one disk is nothing to compare: name another, or a --snapshot');
        }
        const { compare } = await import('../commands/compare.js');
        settle(await compare(image, other, flags, contextFor(command)));
      },
    );
}

function parseRanges(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a number below a million.');
}

/** Adds `export`. */
export function addExport(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'export', 'Copy the disk, or one of a snapshot, to a new file.')
    .argument('<image>', 'a qcow2 image')
    .argument('[snapshot]', `${SELECTOR_HELP}; without it the active disk`)
    .requiredOption('-o, --output <file>', 'the new file; - for stdout')
    .addOption(formatOption('-f, --format <format>', 'qcow2 if FILE ends in .qcow2, else raw'))
    .addOption(
      new Option('-c, --compress [type]', 'compress a qcow2 image: deflate or zstd').argParser(
        compressionOf,
      ),
    )
    .addOption(
      new Option('--cluster-size <size>', 'of a qcow2 image: 512 to 2M (default 64K)').argParser(
        clusterSizeOf,
      ),
    )
    .option('--sha256', 'print the hash of FILE as sha256sum does')
    .option(
      '--manifest <file>',
      'write where the disk is from, and hashes, to a new file',
      newFileOf,
    )
    .option('--salvage', "go on past what can't be read; it becomes zeros")
    .option('--salvage-map <file>', 'with --salvage: write what was good, zero-filled, doubtful')
    .option('--force', 'replace files that are there')
    .addOption(backingOption())
    .addOption(passphraseOption())
    .action(
      async (
        image: string,
        selector: string | undefined,
        flags: ParsedExportFlags,
        command: Command,
      ) => {
        const { exportDisk } = await import('../commands/export.js');
        const { compress, ...rest } = flags;
        const type = compress === true ? 'zlib' : compress;
        const format = formatOf(rest);
        const wanted = { ...rest, format, ...(type !== undefined && { compress: type }) };
        const context = contextFor(command);
        refuseContradictions(wanted, command, context.json, context.io.stdout.isTerminal);
        settle(await exportDisk(image, selector, wanted, context));
      },
    );
}

type ParsedExportFlags = Omit<ExportFlags, 'compress' | 'format'> & {
  readonly format?: ExportFormat;
  readonly compress?: true | 'zlib' | 'zstd';
};

/** @throws CommanderError for options that can't go together. */
function refuseContradictions(
  flags: ExportFlags,
  command: Command,
  json: boolean,
  isTerminal: boolean,
): void {
  const { output, compress, clusterSize, salvage, salvageMap } = flags;
  const toStdout = output === '-';
  const isQcow2 = flags.format === 'qcow2';
  if (toStdout && isQcow2) {
    command.error('error: a qcow2 image is written in no order, so stdout takes only raw disks');
  }
  if (salvageMap !== undefined && salvage !== true) {
    command.error('error: --salvage-map is of what --salvage does: add it');
  }
  if (toStdout && json) command.error('error: with -o - stdout has the disk, and no JSON');
  if (toStdout && isTerminal) command.error('error: a disk is not for a terminal: pipe it on');
  if (!isQcow2 && compress !== undefined) {
    command.error('error: --compress is for qcow2 images: name the file .qcow2 or add -f qcow2');
  }
  if (!isQcow2 && clusterSize !== undefined) {
    command.error(
      'error: --cluster-size is for qcow2 images: name the file .qcow2 or add -f qcow2',
    );
  }
}

/** @throws InvalidArgumentError for what is no type of compression. */
export function compressionOf(text: string): 'zlib' | 'zstd' {
  if (text === 'deflate' || text === 'zlib') return 'zlib';
  if (text === 'zstd') return 'zstd';
  throw new InvalidArgumentError('Write --compress=deflate or --compress=zstd, or -c as the last.');
}

/** @throws InvalidArgumentError for what is no cluster size. */
export function clusterSizeOf(text: string): number {
  const [, digits, unit] = /^(\d{1,7})([kKmM]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** ['', 'k', 'm'].indexOf((unit ?? '').toLowerCase());
  if (Number.isInteger(Math.log2(bytes)) && bytes >= 512 && bytes <= 2 * 1024 ** 2) return bytes;
  throw new InvalidArgumentError('Write a power of two from 512 to 2M.');
}
