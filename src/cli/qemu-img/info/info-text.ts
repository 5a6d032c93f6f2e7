/** `info` for people and as JSON: members in the order that QEMU's dictionaries have, as measured. */
import type { Snapshot } from '../../../index.js';
import type { Behaviour } from '../version/behaviour.js';
import { sizeText, treeLines } from './human.js';
import type { Layer } from './info-layer.js';
import type { Tree } from '../json.js';
import { listedSnapshots } from '../snapshot.js';
import { signed, snapshotId, snapshotName, snapshotTableLines } from '../table.js';

/** @param show applied to every string of the image. */
export function humanLines(
  layer: Layer,
  behaviour: Behaviour,
  show: (text: string) => string,
): string[] {
  const { image, backing, virtualBytes, allocatedBytes } = layer;
  const lines = [
    `image: ${show(layer.name)}`,
    `file format: ${image === undefined ? 'raw' : 'qcow2'}`,
    `virtual size: ${sizeText(virtualBytes)} (${virtualBytes} bytes)`,
    `disk size: ${sizeText(allocatedBytes)}`,
  ];
  if (image !== undefined) {
    if (image.header.encryption !== 'none') lines.push('encrypted: yes');
    lines.push(`cluster_size: ${image.geometry.clusterBytes}`);
    if (image.header.dirty) lines.push('cleanly shut down: no');
  }
  if (backing !== undefined) {
    const { name, full, format } = backing;
    const actual = full === name ? '' : ` (actual path: ${show(full)})`;
    lines.push(`backing file: ${show(name)}${actual}`);
    if (format !== undefined) lines.push(`backing file format: ${show(format)}`);
  }
  if (layer.limits !== undefined) lines.push('Block limits:', ...treeLines(layer.limits, show));
  if (image !== undefined) {
    lines.push(...snapshotTableLines(listedSnapshots(image), behaviour, show));
  }
  if (layer.specific !== undefined) {
    lines.push('Format specific information:', ...treeLines(layer.specific, show));
  }
  return [...lines, ...fileLines(layer, show)];
}

function fileLines({ file, target, allocatedBytes }: Layer, show: (text: string) => string) {
  if (file === undefined) return [];
  const { limits } = file;
  return [
    "Child node '/file':",
    `    filename: ${show(target.shown)}`,
    `    protocol type: ${file.protocol}`,
    `    file length: ${sizeText(file.bytes)} (${file.bytes} bytes)`,
    `    disk size: ${sizeText(allocatedBytes)}`,
    ...(limits === undefined ? [] : ['    Block limits:', ...treeLines(limits, show, 2)]),
  ];
}

export function jsonTree(layer: Layer): Tree {
  const { image, specific, backing } = layer;
  const shared = {
    'virtual-size': layer.virtualBytes,
    filename: layer.name,
  };
  const first = {
    ...(layer.limits !== undefined && { limits: layer.limits }),
    ...childrenOf(layer),
  };
  if (image === undefined || specific === undefined) {
    return {
      ...first,
      ...shared,
      format: 'raw',
      'actual-size': layer.allocatedBytes,
      'dirty-flag': false,
    };
  }
  const snapshots = listedSnapshots(image);
  return {
    ...first,
    ...(backing?.format !== undefined && { 'backing-filename-format': backing.format }),
    ...(snapshots.length > 0 && { snapshots: snapshots.map(snapshotTree) }),
    ...shared,
    'cluster-size': image.geometry.clusterBytes,
    format: 'qcow2',
    'actual-size': layer.allocatedBytes,
    'format-specific': { type: 'qcow2', data: specific },
    ...(backing !== undefined && { 'full-backing-filename': backing.full }),
    ...(image.header.encryption !== 'none' && { encrypted: true }),
    ...(backing !== undefined && { 'backing-filename': backing.name }),
    'dirty-flag': image.header.dirty,
  };
}

function childrenOf({ file, target, allocatedBytes }: Layer) {
  if (file === undefined) return {};
  const { limits, protocol } = file;
  const info = {
    ...(limits !== undefined && { limits }),
    children: [],
    'virtual-size': file.bytes,
    filename: target.shown,
    format: protocol,
    'actual-size': allocatedBytes,
    'format-specific': { type: protocol, data: {} },
    'dirty-flag': false,
  };
  return { children: [{ name: 'file', info }] };
}

const NANOSECONDS = 1_000_000_000n;

function snapshotTree(snapshot: Snapshot): Tree {
  const { icount, vmClockNanoseconds, date } = snapshot;
  return {
    ...(icount !== undefined && { icount: signed(icount) }),
    'vm-clock-nsec': vmClockNanoseconds % NANOSECONDS,
    name: snapshotName(snapshot),
    'date-sec': date.seconds,
    'date-nsec': date.nanoseconds,
    'vm-clock-sec': vmClockNanoseconds / NANOSECONDS,
    id: snapshotId(snapshot),
    'vm-state-size': snapshot.vmStateBytes,
  };
}
