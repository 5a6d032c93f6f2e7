import type { CompressionType } from '../../qcow2/header.js';

/**
 * The codecs and ciphers that the engine needs and does not have itself. `qsnap/node` takes them from Node.
 * `qsnap/web` has them in JavaScript, for browsers and all other places, but for a `Compressor`.
 */

/** Unpacks clusters, many at a time, so that an implementation may use several threads. */
export interface Decompressor {
  /**
   * Unpacks every packed cluster to exactly `bytes` bytes; undefined for a stream that is damaged or ends
   * early. Each stream may be followed by bytes that do not belong to it.
   *
   * @throws QsnapError UNSUPPORTED_COMPRESSION where this platform can't unpack that.
   */
  decompress(
    type: CompressionType,
    packed: readonly Uint8Array[],
    bytes: number,
  ): Promise<readonly (Uint8Array | undefined)[]>;
}

/** Packs clusters, many at a time. */
export interface Compressor {
  /**
   * Packs every cluster; undefined where packing would not make it smaller than the cluster.
   *
   * @throws QsnapError UNSUPPORTED_COMPRESSION where this platform can't pack in that way.
   */
  compress(
    type: CompressionType,
    clusters: readonly Uint8Array[],
  ): Promise<readonly (Uint8Array | undefined)[]>;
}

/** The ciphers and hashes that encrypted images use. Synchronous but for the slow ones. */
export interface Cryptography {
  /** `hash` as LUKS names it, such as "sha256". */
  digest(hash: string, bytes: Uint8Array): Uint8Array;
  pbkdf2(
    hash: string,
    passphrase: Uint8Array,
    salt: Uint8Array,
    iterations: number,
    bytes: number,
  ): Promise<Uint8Array>;
  /**
   * @param direction decrypts without it.
   * @throws QsnapError UNSUPPORTED_ENCRYPTION for a cipher that this platform has not.
   */
  sectorCipher(name: CipherName, key: Uint8Array, direction?: CipherDirection): SectorCipher;
}

/** A sector cipher by the words of a LUKS1 header. */
export interface CipherName {
  /** Such as "aes". */
  readonly cipher: string;
  /** Such as "xts" or "cbc". */
  readonly mode: string;
  /** Such as "plain64" or "essiv". */
  readonly ivGenerator: string;
  /** The hash that the IV generator uses, where it has one. */
  readonly ivHash: string | undefined;
}

/** What a cipher does. */
export type CipherDirection = 'decrypt' | 'encrypt';

/** Decrypts or encrypts whole sectors of 512 bytes in place; `firstSector` numbers the first one, below 2^53. */
export type SectorCipher = (bytes: Uint8Array, firstSector: number) => void;
