/** What the help of each command closes with. */

export const SELECTOR_HELP = "id:3, name:nightly, '#0' or a word that means only one";

export const GROUP_NAME_HELP = 'a name that is on every image';

export const REPAIR_WHAT_HELP =
  'all (default), leaks, perhaps-lost, unreadable, or CODE or CODE@OFFSET of findings';

/** The examples that the help of a command closes with. */
export function examples(lines: readonly (readonly [command: string, does: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  const rows = lines.map(([command, does]) => `  ${command.padEnd(width)}  ${does}`);
  return `\nExamples:\n${rows.join('\n')}`;
}

export const EXAMPLES = {
  qsnap:
    examples([
      ['qsnap list disk.qcow2', 'which snapshots there are'],
      ['qsnap create disk.qcow2 "before upgrade"', 'take one'],
      ['qsnap apply disk.qcow2 "before upgrade"', 'go back to it'],
      ['qsnap delete --dry-run disk.qcow2 id:1 id:2', 'what deleting two would free'],
    ]) + '\n\n`qsnap COMMAND --help` has more. Exit codes: 0 done, 1 not done.',
  info: examples([
    ['qsnap info disk.qcow2', 'all header fields in words'],
    ['qsnap info --json *.qcow2', 'the same of many images, for programs'],
  ]),
  list: examples([
    ['qsnap list disk.qcow2', 'a table'],
    ['qsnap list --json a.qcow2 b.qcow2', 'two images, for programs'],
    ['qsnap list -U disk.qcow2', 'of an image that a guest is using'],
    ['qsnap list https://host/disk.qcow2', 'of an image on a server; also s3://'],
    ['qsnap list --group vm.qcow2 nvram.qcow2', 'side by side, by name'],
  ]),
  check: examples([
    ['qsnap check disk.qcow2', 'exit code 0, 2 (corruption) or 3 (leaks)'],
    ['qsnap check --json *.qcow2', 'all about each finding, for programs'],
  ]),
  audit: examples([
    [
      'qsnap audit --profile untrusted-upload upload.qcow2',
      'exit code 0, or 4 where a rule is broken',
    ],
    ['qsnap audit --readable-by openstack,libqcow disk.qcow2', 'who could not read it'],
    ['qsnap audit --profile golden-image --staged', 'in a hook of git'],
    ['qsnap audit --profile golden-image --fix disk.qcow2', 'mend what is safe to'],
    ['qsnap audit --explain QS1201', 'why, and what to do'],
  ]),
  map: examples([
    ['qsnap map disk.qcow2', 'where each part of the disk lies'],
    ['qsnap map disk.qcow2 nightly', 'the same of a snapshot'],
    ['qsnap map --backing --json disk.qcow2', 'through the backing files, for programs'],
  ]),
  dump: examples([
    ['qsnap dump disk.qcow2', 'header, extensions, features, snapshots'],
    ['qsnap dump disk.qcow2 l1 l2 -s nightly', 'the tables of a snapshot'],
    ['qsnap dump --jsonl --every disk.qcow2 all', 'each entry of each table, for programs'],
    ['qsnap dump disk.qcow2 cluster 5', 'who has it, and its bytes'],
    ['qsnap dump --offset 0x100000 dd.raw', 'an image inside a larger file'],
    ['cat evidence.gz.* | qsnap dump -', 'pieces of a file, packed or not'],
  ]),
  scan: examples([
    ['qsnap scan disk.qcow2', 'deleted snapshots and what is left of them'],
    ['qsnap scan --carve found disk.qcow2', 'the bytes of each in a folder'],
    ['qsnap scan --min 0 --json disk.qcow2', 'what is hardly plausible, too'],
  ]),
  recover: examples([
    ['qsnap recover disk.qcow2 --candidate 1 -o old.raw', 'its disk'],
    ['qsnap recover disk.qcow2 --candidate 1 -o old.qcow2 --map old.jsonl', 'what is sure'],
    ['qsnap recover disk.qcow2 --candidate 1 --into copy.qcow2', 'as a snapshot'],
    ['qsnap recover bad.qcow2 --rebuild header -o copy.qcow2', 'from the tables'],
  ]),
  locate: examples([
    ['qsnap locate disk.qcow2 --guest 0x10000', 'where it lies in the file'],
    ['qsnap locate disk.qcow2 --guest 1M --all', 'of all snapshots, too'],
    ['qsnap locate disk.qcow2 --host 0x50000', 'what refers to the cluster'],
  ]),
  vmstate: examples([
    ['qsnap vmstate vm.qcow2 nightly', 'machine, RAM blocks, devices'],
    ['qsnap vmstate vm.qcow2 nightly extract -o vm.qevm', 'the stream, to its end'],
    ['qsnap vmstate vm.qcow2 nightly memory -f elf -o vm.core', 'for gdb and volatility3'],
    ['qsnap vmstate vm.qcow2 nightly memory --at 0x7c00', 'a hex dump'],
    ['qsnap vmstate vm.qcow2 nightly screen -o vm.png', 'what the screen showed'],
  ]),
  show: examples([
    ['qsnap show disk.qcow2 nightly', 'by name or id'],
    ['qsnap show disk.qcow2 id:2', 'by id only'],
  ]),
  usage: examples([
    ['qsnap usage disk.qcow2', 'a bar for each disk'],
    ['qsnap usage --if-deleted id:2,id:3 disk.qcow2', 'what both free, which is no sum'],
    ['qsnap usage --svg usage.svg disk.qcow2', 'a picture'],
  ]),
  tree: examples([
    ['qsnap tree disk.qcow2', 'in the terminal'],
    ['qsnap tree --dot disk.qcow2 | dot -Tpng -o tree.png', 'by Graphviz'],
    ['qsnap tree --svg tree.svg disk.qcow2', 'a picture'],
  ]),
  timeline: examples([
    ['qsnap timeline *.qcow2', 'all dates in one list, and what is odd'],
    ['qsnap timeline --format bodyfile a.qcow2 | mactime -b -', 'for The Sleuth Kit'],
    ['qsnap timeline --no-file-dates copy.qcow2', 'the snapshots alone'],
  ]),
  create: examples([
    ['qsnap create disk.qcow2 nightly', 'dated now'],
    ['qsnap create --date @0 disk.qcow2 golden', 'a date that never differs'],
    ['qsnap create --dry-run disk.qcow2 x', 'what would be written'],
    ['qsnap create x --group vm.qcow2 nvram.qcow2', 'on all images or none'],
    ['qsnap create --resume --group vm.qcow2 nvram.qcow2', 'after a cut'],
  ]),
  apply: examples([
    ['qsnap apply disk.qcow2 nightly', 'if nothing would be lost'],
    ['qsnap apply --save-as "as of today" disk.qcow2 id:1', 'keep the present state'],
    ['qsnap apply --discard-changes disk.qcow2 id:1', 'lose it'],
    ['qsnap apply golden --group vm.qcow2 nvram.qcow2', 'all images or none'],
  ]),
  delete: examples([
    ['qsnap delete disk.qcow2 nightly', 'one'],
    ['qsnap delete disk.qcow2 id:1 id:2 name:old', 'three in one pass'],
    ['qsnap delete --dry-run disk.qcow2 id:1', 'what it would free'],
    ['qsnap delete --in-place disk.qcow2 id:1', 'on a full disk'],
    ['qsnap delete old --group vm.qcow2 nvram.qcow2', 'from all images or none'],
  ]),
  prune: examples([
    ['qsnap prune --keep-last 5 disk.qcow2', 'all but the newest five; asks first'],
    ['qsnap prune --keep-daily 7 --keep-weekly 4 -y *.qcow2', 'of many images, without asking'],
    ['qsnap prune --older-than 30d --name "auto-*" -n disk.qcow2', 'what that would delete'],
  ]),
  resize: examples([
    ['qsnap resize disk.qcow2 20G', 'to 20 GiB'],
    ['qsnap resize disk.qcow2 +512M', 'by 512 MiB more'],
    ['qsnap resize --shrink disk.qcow2 -1G', 'by 1 GiB less; what lay there is lost'],
  ]),
  strip: examples([
    ['qsnap strip disk.qcow2', 'what no list shows: left from snapshots that were applied'],
    ['qsnap strip --dry-run disk.qcow2', 'how much that is'],
    ['qsnap strip --whole disk.qcow2 nightly', 'the memory of a guest, but not its disk'],
  ]),
  trim: examples([
    ['qsnap trim disk.qcow2', 'free clusters take no room any more'],
    ['qsnap trim --relocate disk.qcow2', 'and the file gets as short as it can'],
    ['qsnap trim --dry-run disk.qcow2', 'how much that would be'],
  ]),
  scrub: examples([
    ['qsnap scrub --dry-run disk.qcow2', 'how much of what was deleted is left'],
    ['qsnap scrub disk.qcow2', 'zeros over all of it, before you pass it on'],
    ['qsnap scrub --punch disk.qcow2', 'holes, where the host makes them'],
  ]),
  repair: examples([
    ['qsnap repair --plan disk.qcow2', 'every write, and what is left'],
    ['qsnap repair --undo old.undo disk.qcow2', 'all, and keep a way back'],
    ['qsnap repair disk.qcow2 leaks', 'leaks alone'],
    ['qsnap repair --punch disk.qcow2 leaks', 'and give their room back'],
    ['qsnap repair disk.qcow2 CLUSTER_LEAKED@0x2010', 'one finding'],
  ]),
  undo: examples([['qsnap undo old.undo disk.qcow2', 'put back what a repair overwrote']]),
  compare: examples([
    ['qsnap compare a.qcow2 b.raw', 'exit code 0 same, 1 different, 2 error'],
    ['qsnap compare a.qcow2 -s nightly', 'a snapshot with the active disk'],
    ['qsnap compare a.qcow2 -s id:1 -w id:2', 'two snapshots of one image'],
  ]),
  diff: examples([
    ['qsnap diff disk.qcow2 nightly', 'exit code 0, 1 or 2'],
    ['qsnap diff --content disk.qcow2 1 2', 'equal bytes are no difference'],
    ['qsnap diff --extents disk.qcow2 1', 'changed blocks, for a backup'],
    ['qsnap diff disk.qcow2 active 1 --patch 1.qcow2', 'an overlay: 1 again'],
  ]),
  export: examples([
    ['qsnap export disk.qcow2 -o disk.raw', 'the active disk'],
    ['qsnap export disk.qcow2 nightly -o old.qcow2 -c', 'a snapshot, compressed'],
    ['qsnap export disk.qcow2 id:2 -o - | gzip >2.gz', 'to another program'],
    ['qsnap export --salvage cut.qcow2 -o cut.raw', 'what is left of a damaged one'],
  ]),
  hash: examples([
    ['qsnap hash disk.qcow2 >SHA256SUMS', 'of all disks, for sha256sum -c'],
    ['qsnap hash --piecewise 1M disk.qcow2', 'of each MiB of each disk'],
    ['qsnap hash --format dfxml disk.qcow2', 'with the places of all bytes'],
  ]),
  compact: examples([
    ['qsnap compact disk.qcow2 -o new.qcow2', 'all disks'],
    ['qsnap compact disk.qcow2 -o new.qcow2 -s id:2', 'with one snapshot'],
    ['qsnap compact disk.qcow2 -o new.qcow2 -c zstd', 'compressed'],
    ['qsnap compact --dedupe disk.qcow2 -o new.qcow2', 'equal clusters once'],
  ]),
  rescue: examples([
    ['qsnap rescue --plan disk.qcow2', 'what is left, and how sure it is'],
    ['qsnap rescue disk.qcow2 -o new.qcow2', 'all but what is a guess'],
    ['qsnap rescue disk.qcow2 -o new.qcow2 --all', 'guesses as well'],
  ]),
  dehydrate: examples([
    ['qsnap dehydrate disk.qcow2 -o report.qcow2', 'the structure alone, to pass on'],
    ['qsnap dehydrate --keep-names disk.qcow2 -o report.qcow2', 'with its names'],
  ]),
  rehydrate: examples([
    ['qsnap rehydrate report.qcow2 -o filled.qcow2', 'every sector tells its place'],
  ]),
  rename: examples([
    ['qsnap rename disk.qcow2 nightly "after upgrade"', 'by name or id'],
    ['qsnap rename disk.qcow2 id:3 golden', 'by id only'],
  ]),
  set: examples([
    ['qsnap set disk.qcow2 --backing base.qcow2 --backing-format qcow2', 'a file that moved'],
    ['qsnap set disk.qcow2 --no-backing', 'what it holds is all it shows'],
  ]),
} as const;

export type CommandName = Exclude<keyof typeof EXAMPLES, 'qsnap'>;
