import type { InputType } from 'node:zlib';
import type { Compressor } from '../read/guest/platform.js';
import { runInFlight } from '../io/batch.js';
import { QsnapError } from '../errors.js';
import { zlib } from './late-modules.js';

/** Clusters that are packed at a time: Node's thread pool has four threads. */
const IN_FLIGHT = 8;

/** QEMU unpacks with a window of 4 KiB, and packs with one. QEMU: block/qcow2-threads.c. */
const DEFLATE = { windowBits: 12, memLevel: 9 };

type Pack = (cluster: Uint8Array) => Promise<Uint8Array>;

/**
 * Packs clusters: deflate by Node's own zlib, in several threads; zstd by Node's zlib where it has
 * that (from 22.15), else by the package `@hpcc-js/wasm-zstd`.
 *
 * ```ts
 * const compress = { type: 'zstd', compressor: nodeCompressor() } as const;
 * const writer = await newQcow2Writer(device, {
 *   diskSizeBytes: disk.sizeBytes,
 *   version: 3,
 *   clusterBytes: 65536,
 *   refcountBits: 16,
 *   extendedL2: false,
 *   lazyRefcounts: false,
 *   compressionType: compress.type,
 * });
 * await copyDisk(disk.guest, writer, { compress });
 * await writer.finish();
 * ```
 *
 * @throws QsnapError UNSUPPORTED_COMPRESSION: `compress` does, for zstd where the package is not there.
 */
export function nodeCompressor(): Compressor {
  return {
    compress: async (type, clusters) => {
      const pack = type === 'zlib' ? deflate : await zstdPacker();
      const packed: (Uint8Array | undefined)[] = clusters.map(() => undefined);
      await runInFlight([...clusters.keys()], IN_FLIGHT, async (i) => {
        const cluster = clusters[i]!;
        const bytes = await pack(cluster);
        if (bytes.length < cluster.length) packed[i] = bytes;
      });
      return packed;
    },
  };
}

function deflate(cluster: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zlib().deflateRaw(cluster, DEFLATE, (error, packed) => {
      if (error === null) resolve(packed);
      else reject(error);
    });
  });
}

interface NodeZstd {
  zstdCompress?: (
    cluster: InputType,
    options: { readonly pledgedSrcSize: number },
    done: (error: Error | null, packed: Uint8Array) => void,
  ) => void;
}

async function zstdPacker(): Promise<Pack> {
  const { zstdCompress } = zlib() as NodeZstd;
  if (zstdCompress !== undefined) {
    return (cluster) =>
      new Promise((resolve, reject) => {
        // So that the frame says what it holds, which some versions of Node leave out otherwise.
        zstdCompress(cluster, { pledgedSrcSize: cluster.length }, (error, packed) => {
          if (error === null) resolve(packed);
          else reject(error);
        });
      });
  }
  const zstd = await wasmZstd();
  return (cluster) => Promise.resolve(zstd.compress(cluster));
}

interface WasmZstd {
  compress(cluster: Uint8Array): Uint8Array;
}

let loadedZstd: WasmZstd | undefined;

async function wasmZstd(): Promise<WasmZstd> {
  try {
    // Imported once: see the decompressor.
    loadedZstd ??= await (await import('@hpcc-js/wasm-zstd')).Zstd.load();
    return loadedZstd;
  } catch (error) {
    throw new QsnapError(
      'UNSUPPORTED_COMPRESSION',
      'nothing here packs by zstd: this Node.js has it not, and the package is missing',
      { actual: 'zstd', hint: 'use Node.js 22.15 or newer, or pack by zlib' },
      error,
    );
  }
}
