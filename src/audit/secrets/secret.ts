/** A regular expression of a policy, with the name that findings have. */
export interface NamedRegex {
  readonly name: string;
  readonly regex: string;
}

/** Where bytes look like a secret. */
export interface SecretMatch {
  /** The name of the pattern that they are like. */
  readonly pattern: string;
  /** Index of the first byte. */
  readonly at: number;
  /** In bytes. */
  readonly length: number;
}

/**
 * Looks for secrets in some bytes.
 *
 * @param wants whether one more of a pattern counts; of the others none need be told.
 */
export type FindSecrets = (
  bytes: Uint8Array,
  wants: (pattern: string) => boolean,
) => Iterable<SecretMatch>;

/** What was found of one pattern in the bytes that nothing refers to. Never the bytes themselves. */
export interface SecretsLeft {
  readonly pattern: string;
  /** The first ones, with byte offsets in the file. */
  readonly listed: readonly (SecretMatch & { readonly where: RemainsPlace })[];
  /** How many there are. */
  readonly count: number;
  /** Whether the search ended there, so that there may be more. */
  readonly isFull: boolean;
}

/** Where bytes lie that nothing refers to. */
export type RemainsPlace = 'free-clusters' | 'tail' | 'header-slack' | 'table-slack';
