import { Z_DATA_ERROR, Z_FINISH, zlibInflate, zlibInflateInit2, ZStream } from 'pako';

/** A deflate stream without header, with a window of any size. */
const RAW = -15;

/**
 * The first `bytes` bytes of a deflate stream; undefined where it is bad or ends before. With room for
 * no more than a cluster, zlib decides as it does in QEMU whether what lies behind matters.
 */
export function inflate(packed: Uint8Array, bytes: number): Uint8Array | undefined {
  const stream = new ZStream();
  stream.input = packed;
  stream.avail_in = packed.length;
  stream.output = new Uint8Array(bytes);
  stream.avail_out = bytes;
  zlibInflateInit2(stream, RAW);
  const status = zlibInflate(stream, Z_FINISH);
  return status === Z_DATA_ERROR || stream.avail_out > 0 ? undefined : stream.output;
}
