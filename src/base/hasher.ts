/** SHA-256 of bytes that come piece by piece. The engine has none of its own: callers bring it. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The digest in lower-case hex. Nothing may be called afterwards. */
  digest(): string;
}

/** Starts a new SHA-256. */
export type NewHasher = () => Hasher;

/** The digest of bytes that are there as a whole. */
export function digestOf(bytes: Uint8Array, newHasher: NewHasher): string {
  const hasher = newHasher();
  hasher.update(bytes);
  return hasher.digest();
}

/** A hash whose state can be copied: what two contents have in common at their beginning is hashed once. */
export interface ForkableHasher extends Hasher {
  /** Another one that has had the same bytes. */
  fork(): ForkableHasher;
}

/** Starts a new hash whose state can be copied. */
export type NewForkableHasher = () => ForkableHasher;
