import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { settled } from '../../io/settled.js';

interface DataRequest extends WriteRequest {
  readonly isGuestData: true;
}

/** Marks a write as one to the external data file. */
export function dataRequest({ at, bytes }: WriteRequest): DataRequest {
  return { at, bytes, isGuestData: true };
}

/** The image's file, and beside it the file that marked writes go to. */
export function withDataFile(device: BlockDevice, data: BlockDevice | undefined): BlockDevice {
  if (data === undefined) return device;
  return {
    label: device.label,
    growable: device.growable,
    sizeBytes: () => device.sizeBytes(),
    readBatch: (requests) => device.readBatch(requests),
    writeBatch: async (requests) => {
      const [own, guest] = [false, true].map((isGuest) => {
        return requests.filter((request) => 'isGuestData' in request === isGuest);
      });
      await settled([device.writeBatch(own!), data.writeBatch(guest!)]);
    },
    flush: async () => {
      await settled([data.flush(), device.flush()]);
    },
    truncate: (bytes) => device.truncate(bytes),
    punchBatch: (ranges) => device.punchBatch(ranges),
    close: () => device.close(),
  };
}
