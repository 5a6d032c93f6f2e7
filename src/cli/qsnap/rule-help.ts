import type { Rule } from '../../index.js';

/** What a rule is told with that only the command line can say. */
export interface RuleHelp {
  /** What to do about an image that breaks it: commands, or a piece of advice. */
  readonly remedy: string;
  /** A line of a policy that asks for it. */
  readonly example: string;
}

/** By the id of the rule; a test holds it to the rules that there are. */
const RULE_HELP: Readonly<Record<string, RuleHelp>> = {
  QS1001: {
    remedy: 'qsnap info IMAGE says what is wrong; qsnap rescue IMAGE -o NEW may save what is left',
    example: 'image: error',
  },
  QS1101: {
    remedy:
      'qsnap prune --keep-last N IMAGE, or qsnap export IMAGE -o NEW for the active disk alone',
    example: 'snapshots: { level: error, max: 0 }',
  },
  QS1102: {
    remedy:
      'qsnap strip IMAGE takes out what no entry tells of, qsnap strip --whole IMAGE SNAPSHOT all of one; then qsnap scrub IMAGE',
    example: 'vm-state: error',
  },
  QS1103: {
    remedy: 'qsnap rename IMAGE SNAPSHOT NEW, or qsnap prune --name PATTERN IMAGE',
    example: 'snapshot-names: { level: warning, deny: ["tmp-*"], allow: ["release-*"] }',
  },
  QS1104: {
    remedy: 'qsnap prune --older-than 30d IMAGE',
    example: 'snapshot-age: { level: warning, max: 30d }',
  },
  QS1105: {
    remedy: 'qsnap rename IMAGE id:ID NEW',
    example: 'snapshot-name-twice: warning',
  },
  QS1201: {
    remedy:
      'qsnap-img convert -O qcow2 OLD NEW where the chain is to be trusted; else refuse the image',
    example: 'backing-file: error',
  },
  QS1202: {
    remedy:
      'qsnap-img convert -O qcow2 OLD NEW where the data file is to be trusted; else refuse the image',
    example: 'data-file: error',
  },
  QS1203: {
    remedy: 'qsnap set IMAGE --backing NAME --backing-format FORMAT',
    example: 'absolute-name: warning',
  },
  QS1204: {
    remedy: 'qsnap set IMAGE --backing NAME --backing-format FORMAT, or refuse the image',
    example: 'remote-name: error',
  },
  QS1205: {
    remedy: 'qsnap set IMAGE --backing NAME --backing-format FORMAT, or refuse the image',
    example: 'json-name: error',
  },
  QS1206: {
    remedy: 'qsnap set IMAGE --backing NAME --backing-format FORMAT',
    example: 'backing-format: warning',
  },
  QS1207: {
    remedy:
      'qsnap audit --backing IMAGE follows the chain; qsnap-img rebase -b NEARER -F FORMAT IMAGE makes it shorter',
    example: 'chain-depth: { level: warning, max: 4 }',
  },
  QS1208: {
    remedy:
      'qsnap audit --backing IMAGE follows the chain; bring the file back, or say where it lies now: qsnap set IMAGE --backing NAME --backing-format FORMAT',
    example: 'chain-complete: error',
  },
  QS1209: {
    remedy:
      'qsnap audit --backing IMAGE follows the chain; refuse the image, or name another file: qsnap set IMAGE --backing NAME --backing-format FORMAT',
    example: 'chain-loop: error',
  },
  QS1210: {
    remedy:
      'qsnap audit --backing IMAGE follows the chain; qsnap set --backing NAME --backing-format FORMAT on the image that names the file',
    example: 'chain-format: error',
  },
  QS1301: {
    remedy: 'ask for what made the image, and convert it there',
    example: 'unknown-features: error',
  },
  QS1302: {
    remedy: 'qsnap repair IMAGE, or qsnap check IMAGE to look first',
    example: 'dirty: error',
  },
  QS1303: {
    remedy: 'qsnap check IMAGE, then qsnap repair IMAGE',
    example: 'corrupt: error',
  },
  QS1304: {
    remedy: 'qsnap-img amend -o lazy_refcounts=off IMAGE',
    example: 'lazy-refcounts: warning',
  },
  QS1305: {
    remedy: 'qsnap-img amend -o compat=1.1 IMAGE, or qsnap compact --compat 0.10 IMAGE -o NEW',
    example: 'compat: { level: error, allow: ["1.1"] }',
  },
  QS1306: {
    remedy: 'qsnap compact --cluster-size 64k IMAGE -o NEW',
    example: 'cluster-size: { level: warning, min: 64k, max: 2M }',
  },
  QS1307: {
    remedy: 'qsnap compact --refcount-bits 16 IMAGE -o NEW',
    example: 'refcount-bits: { level: warning, allow: ["16"] }',
  },
  QS1308: {
    remedy: 'qsnap compact --extended-l2 off IMAGE -o NEW',
    example: 'extended-l2: error',
  },
  QS1309: {
    remedy: 'qsnap compact --compress deflate IMAGE -o NEW',
    example: 'compression-type: { level: warning, allow: [zlib] }',
  },
  QS1310: {
    remedy: 'remove the bitmap with qsnap-img bitmap --remove IMAGE NAME, and take a full backup',
    example: 'bitmaps: { level: warning }',
  },
  QS1401: {
    remedy: 'qsnap resize IMAGE SIZE; refuse what a stranger made larger',
    example: 'disk-size: { level: error, max: 2T }',
  },
  QS1402: {
    remedy: 'qsnap compact --compress IMAGE -o NEW, or qsnap trim IMAGE',
    example: 'file-size: { level: error, max: 20G }',
  },
  QS1403: {
    remedy: 'refuse the image, or unpack it with a limit',
    example: 'size-ratio: { level: error, max: 1000 }',
  },
  QS1501: {
    remedy: 'qsnap-img convert -O qcow2 -o encrypt.format=luks,… OLD NEW',
    example: 'encrypted: error',
  },
  QS1502: {
    remedy: 'qsnap export --passphrase-file KEY IMAGE -o NEW',
    example: 'not-encrypted: error',
  },
  QS1503: {
    remedy: 'convert it to LUKS: qsnap-img convert --object secret,… --image-opts … NEW',
    example: 'legacy-aes: error',
  },
  QS1504: {
    remedy:
      'add a new passphrase with more time and remove the old one: qsnap-img amend --object secret,… IMAGE',
    example: 'luks-iterations: { level: error, min: 500000 }',
  },
  QS1505: {
    remedy: 'qsnap-img amend --object secret,… -o encrypt.state=inactive,… IMAGE',
    example: 'luks-slots: { level: warning, max: 1 }',
  },
  QS1601: {
    remedy: 'qsnap check IMAGE tells what is lost; qsnap repair IMAGE mends what can be mended',
    example: 'corruption: error',
  },
  QS1602: {
    remedy: 'qsnap repair IMAGE leaks',
    example: 'leaks: warning',
  },
  QS1603: {
    remedy: 'look at the medium; qsnap rescue IMAGE -o NEW saves what can be read',
    example: 'not-checked: error',
  },
  QS1604: {
    remedy: 'qsnap check IMAGE says what each is about',
    example: 'check-notes: { level: note, except: [DIRTY] }',
  },
  QS1605: {
    remedy: 'qsnap check IMAGE, then qsnap repair IMAGE or qsnap rescue IMAGE -o NEW',
    example: 'unreadable-parts: error',
  },
  QS1606: {
    remedy: 'qsnap compact IMAGE -o NEW',
    example: 'fragmentation: { level: note, max: 30 }',
  },
  QS1701: {
    remedy: 'qsnap scrub IMAGE, or qsnap compact IMAGE -o NEW',
    example: 'free-clusters: error',
  },
  QS1702: {
    remedy: 'qsnap scrub IMAGE',
    example: 'slack: warning',
  },
  QS1703: {
    remedy:
      'take the key back where it was issued; then qsnap scrub IMAGE, or qsnap compact IMAGE -o NEW',
    example:
      'secrets-left: { level: error, patterns: [{ name: our-token, regex: "tok_[0-9a-f]{32}" }] }',
  },
  QS1801: {
    remedy: 'qsnap export IMAGE -o NEW -f qcow2 writes the active disk as all of them read it',
    example: 'readable-by: { level: error, readers: [openstack, libqcow] }',
  },
  QS1901: {
    remedy: 'sgdisk --move-second-header on the disk in the guest, or over an NBD export',
    example: 'gpt-backup: error',
  },
  QS1902: {
    remedy: 'let the partitioning tool of the guest write the table anew',
    example: 'protective-mbr: warning',
  },
  QS1903: {
    remedy: 'install a boot loader in the guest; refuse the image until then',
    example: 'bootable: { level: error, by: [uefi] }',
  },
};

/** What to do about a rule that is broken, and how a policy asks for it. */
export function helpOfRule({ id }: Rule): RuleHelp {
  return RULE_HELP[id]!;
}
