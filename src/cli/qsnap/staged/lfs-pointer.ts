/** A file of a repository that stands for one elsewhere. */
export interface LfsPointer {
  /** SHA-256 of the file, in hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Git LFS: pointers are shorter than this. */
export const LFS_POINTER_BYTES_MAX = 1024;

const VERSIONS = /^version https:\/\/(?:git-lfs\.github\.com|hawser\.github\.com)\/spec\/v1\n/;

/** The pointer that a file is; undefined where it is none. */
export function parseLfsPointer(bytes: Uint8Array): LfsPointer | undefined {
  if (bytes.length >= LFS_POINTER_BYTES_MAX) return undefined;
  const text = new TextDecoder().decode(bytes);
  if (!VERSIONS.test(text)) return undefined;
  const sha256 = /^oid sha256:([\da-f]{64})$/m.exec(text)?.[1];
  const size = /^size (\d{1,15})$/m.exec(text)?.[1];
  if (sha256 === undefined || size === undefined) return undefined;
  return { sha256, sizeBytes: Number(size) };
}
