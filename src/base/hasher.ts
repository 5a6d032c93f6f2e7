/** SHA-256 of bytes that come piece by piece. The engine has none of its own: callers bring it. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The digest in lower-case hex. Nothing may be called afterwards. */
  digest(): string;
}

/** Starts a new SHA-256. */
export type NewHasher = () => Hasher;
