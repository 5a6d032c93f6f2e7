import type { Fetch } from '../../internal.js';
import type { SteadyOptions } from '../../node/index.js';

/** How servers are talked to; for tests. */
export interface RemoteOptions extends SteadyOptions {
  /** Where credentials are looked for first: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly fetch?: Fetch;
  /** For signatures, which have a time. */
  readonly now?: () => Date;
}
