/** Which other formats a file may be in: qemu-img would read them, qsnap-img names them. */

/** Formats that qemu-img 7.2 knows and qsnap-img does not. */
const OTHER_FORMATS: ReadonlySet<string> = new Set(
  (
    'blkdebug blklogwrites blkverify bochs cloop compress copy-before-write copy-on-read dmg ' +
    'file ftp ftps gluster host_cdrom host_device http https iscsi iser luks nbd nfs null-aio ' +
    'null-co nvme parallels preallocate qcow qed quorum rbd replication snapshot-access ssh ' +
    'throttle vdi vhdx vmdk vpc vvfat'
  ).split(' '),
);

/** Prefixes of a file name that lead elsewhere than to a file. */
const OTHER_PROTOCOLS: ReadonlySet<string> = new Set(
  (
    'blkdebug blklogwrites blkverify fat ftp ftps gluster gluster+tcp gluster+unix gluster+rdma ' +
    'host_cdrom host_device http https iscsi iser json nbd nbd+tcp nbd+unix nfs null-aio null-co ' +
    'nvme quorum rbd ssh sftp vvfat'
  ).split(' '),
);

export function isOtherFormat(name: string): boolean {
  return OTHER_FORMATS.has(name);
}

export function isOtherProtocol(name: string): boolean {
  return OTHER_PROTOCOLS.has(name);
}

/** How many bytes from the start `otherFormatOf` looks at. */
export const PROBE_BYTES = 512;

/** Signatures as byte strings. A fixed VPC image has its own at the end, where QEMU doesn't look. */
const SIGNATURES: readonly (readonly [format: string, at: number, signature: string])[] = [
  ['qcow', 0, 'QFI\xfb\0\0\0\x01'],
  ['qed', 0, 'QED\0'],
  ['vdi', 64, '\x7f\x10\xda\xbe'],
  ['vmdk', 0, 'KDMV'],
  ['vmdk', 0, 'COWD'],
  ['vmdk', 0, '# Disk DescriptorFile'],
  ['vhdx', 0, 'vhdxfile'],
  ['vpc', 0, 'conectix'],
  ['parallels', 0, 'WithoutFreeSpace'],
  ['parallels', 0, 'WithouFreSpacExt'],
  ['bochs', 0, 'Bochs Virtual HD Image'],
  ['cloop', 0, '#!/bin/sh\n#V2.0 Format\nmodprobe cloop'],
  ['luks', 0, 'LUKS\xba\xbe'],
];

/**
 * The format that the start of a file belongs to, other than qcow2; undefined for a raw image.
 *
 * @param head the first bytes of the file as a byte string.
 */
export function otherFormatOf(head: string): string | undefined {
  return SIGNATURES.find(([, at, signature]) => head.startsWith(signature, at))?.[0];
}
