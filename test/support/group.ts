/** Groups of images in memory, with a record in memory beside them. */
import { ImageGroup } from '../../src/api/group/image-group.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  type FoundRecord,
  type RecordStore,
} from '../../src/api/group/record.js';
import type { BlockDevice } from '../../src/io/device.js';
import { newSha256 } from '../../src/node/index.js';

/** A record that is there as a whole or not at all, and that fails where it is told to. */
export class MemoryRecord implements RecordStore {
  bytes: Uint8Array | undefined;
  /** Called before each change; may throw. */
  onChange: (what: 'prepare' | 'write' | 'remove') => void = () => undefined;

  constructor(bytes?: Uint8Array) {
    this.bytes = bytes;
  }

  read(): Promise<FoundRecord | undefined> {
    if (this.bytes === undefined) return Promise.resolve(undefined);
    const { request, images } = decodeGroupRecord(this.bytes, newSha256);
    return Promise.resolve({
      label: 'the record',
      request,
      files: images.map(({ file }) => file),
      images,
    });
  }

  foretell(): Promise<void> {
    return Promise.resolve();
  }

  prepare(): Promise<void> {
    return Promise.resolve().then(() => {
      this.onChange('prepare');
    });
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }

  sweep(): Promise<void> {
    return Promise.resolve();
  }

  write(...[request, images]: Parameters<RecordStore['write']>): Promise<void> {
    return Promise.resolve().then(() => {
      this.onChange('write');
      const named = images.map((image, i) => ({ file: `image ${i}`, ...image }));
      this.bytes = encodeGroupRecord({ request, images: named }, newSha256);
    });
  }

  remove(): Promise<void> {
    return Promise.resolve().then(() => {
      this.onChange('remove');
      this.bytes = undefined;
    });
  }
}

/** A device with a name of its own: errors say by it which image they are about. */
export function named<Device extends BlockDevice>(device: Device, label: string): Device {
  return Object.defineProperty(device, 'label', { value: label });
}

export function groupOf(
  devices: readonly BlockDevice[],
  record: RecordStore = new MemoryRecord(),
): ImageGroup<BlockDevice> {
  return new ImageGroup(devices, record);
}
