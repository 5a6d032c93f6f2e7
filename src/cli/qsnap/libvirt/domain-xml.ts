/** What libvirt's files say of disks and snapshots, so far as it matters to whoever edits an image. */
import type { Document, Element } from '@xmldom/xmldom';
import { childrenAt, parseXml } from '../../xml.js';

/** A snapshot as libvirt knows it. */
export interface KnownSnapshot {
  readonly name: string;
  readonly parent: string | undefined;
  readonly isCurrent: boolean;
  /** The images that have it inside. */
  readonly images: readonly string[];
}

interface Disk {
  readonly target: string | undefined;
  readonly image: string;
}

/** The images of a domain's definition. @throws Error where it is no XML. */
export function imagesInDefinition(text: string): readonly string[] {
  const [domain] = childrenAt(parseXml(text), 'domain');
  return domain === undefined ? [] : disksOf(domain).map(({ image }) => image);
}

/** @returns undefined where the file describes no snapshot. @throws Error where it is no XML. */
export function snapshotIn(text: string): KnownSnapshot | undefined {
  const [root] = childrenAt(parseXml(text), 'domainsnapshot');
  const name = root && textAt(root, 'name');
  if (root === undefined || name === undefined) return undefined;
  const disks = childrenAt(root, 'domain').flatMap(disksOf);
  return {
    name,
    parent: textAt(root, 'parent', 'name'),
    isCurrent: textAt(root, 'active') === '1',
    images: disks.filter((disk) => isInside(disk, root)).map(({ image }) => image),
  };
}

/** Whether a disk has the snapshot inside; the firmware's variables, which are not listed, have it as well. */
function isInside({ target, image }: Disk, snapshot: Element): boolean {
  const listed = childrenAt(snapshot, 'disks', 'disk');
  const modes = listed.filter((disk) => {
    const name = disk.getAttribute('name');
    return target === undefined || name === target || name === image;
  });
  // No list means all of them.
  return listed.length === 0 || modes.some((disk) => disk.getAttribute('snapshot') === 'internal');
}

/** Files and block devices of a domain: those of a pool or of a network have no path here. */
function disksOf(domain: Element): readonly Disk[] {
  const disks = childrenAt(domain, 'devices', 'disk').flatMap((disk) => {
    const [source] = childrenAt(disk, 'source');
    const image = source?.getAttribute('file') ?? source?.getAttribute('dev');
    const [target] = childrenAt(disk, 'target');
    if (image == null) return [];
    return [{ target: target?.getAttribute('dev') ?? '', image }];
  });
  const variables = childrenAt(domain, 'os', 'nvram').flatMap((nvram) => {
    const [source] = childrenAt(nvram, 'source');
    const image = source?.getAttribute('file') ?? nvram.textContent;
    const isImage = nvram.getAttribute('format') === 'qcow2';
    return isImage && image ? [{ target: undefined, image }] : [];
  });
  return [...disks, ...variables];
}

function textAt(parent: Document | Element, ...names: readonly string[]): string | undefined {
  return childrenAt(parent, ...names)[0]?.textContent ?? undefined;
}
