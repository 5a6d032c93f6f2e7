import { backingFormat, backingName, dataFileName, type Image } from '../../src/index.js';

type Json = Record<string, unknown>;

/** What `qemu-img info --output=json` printed, as far as the image itself decides it. */
export function comparableInfo(info: Json): Json {
  // Both name the path of the file that QEMU was given.
  const places = ['filename', 'full-backing-filename'];
  const comparable: Json = Object.fromEntries(
    Object.entries(info).filter(([key]) => !places.includes(key)),
  );
  const specific = comparable['format-specific'] as { data: Json };
  const { encrypt, ...data } = specific.data;
  if (encrypt !== undefined) data['encrypt'] = { format: (encrypt as Json)['format'] };
  comparable['format-specific'] = { type: 'qcow2', data };
  return comparable;
}

/** The same object made from what the engine read. */
export function infoOf(image: Image): Json {
  const { header, geometry } = image;
  return {
    format: 'qcow2',
    'virtual-size': header.diskSizeBytes,
    'cluster-size': geometry.clusterBytes,
    'dirty-flag': header.dirty,
    ...(header.encryption === 'none' ? {} : { encrypted: true }),
    ...optional('backing-filename', backingName(image)),
    ...optional('backing-filename-format', backingFormat(image)),
    ...(image.snapshots.length === 0 ? {} : { snapshots: snapshotsOf(image) }),
    'format-specific': { type: 'qcow2', data: specificOf(image) },
  };
}

function specificOf(image: Image): Json {
  const { header, geometry } = image;
  if (header.version === 2) {
    return {
      compat: '0.10',
      'compression-type': 'zlib',
      'refcount-bits': geometry.refcountBits,
      ...encryptionOf(image),
    };
  }
  const dataFile = dataFileName(image);
  return {
    compat: '1.1',
    'compression-type': header.compressionType,
    'lazy-refcounts': header.lazyRefcounts,
    'refcount-bits': geometry.refcountBits,
    corrupt: header.markedCorrupt,
    'extended-l2': header.extendedL2,
    ...encryptionOf(image),
    ...(dataFile === undefined
      ? {}
      : { 'data-file': dataFile, 'data-file-raw': header.rawExternalData }),
    ...(image.bitmaps.length === 0 ? {} : { bitmaps: bitmapsOf(image) }),
  };
}

function encryptionOf({ header }: Image): Json {
  return header.encryption === 'none' ? {} : { encrypt: { format: header.encryption } };
}

function bitmapsOf(image: Image): Json[] {
  return image.bitmaps.map(({ name, granularityBytes, inUse, auto }) => ({
    name,
    granularity: granularityBytes,
    flags: [...(inUse ? ['in-use'] : []), ...(auto ? ['auto'] : [])],
  }));
}

function snapshotsOf(image: Image): Json[] {
  return image.snapshots.map((snapshot) => ({
    id: snapshot.id,
    name: snapshot.name,
    'vm-state-size': snapshot.vmStateBytes,
    'date-sec': snapshot.date.seconds,
    'date-nsec': snapshot.date.nanoseconds,
    'vm-clock-sec': Number(snapshot.vmClockNanoseconds / 1_000_000_000n),
    'vm-clock-nsec': Number(snapshot.vmClockNanoseconds % 1_000_000_000n),
    ...(snapshot.icount === undefined ? {} : { icount: Number(snapshot.icount) }),
  }));
}

function optional(key: string, value: string | undefined): Json {
  return value === undefined ? {} : { [key]: value };
}
