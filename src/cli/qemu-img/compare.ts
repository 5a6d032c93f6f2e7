/** `compare`: whether two disks hold the same. */
import type { GuestDisk } from '../../index.js';
import { eachOption, type ArgvContext } from './argv.js';
import { isCacheMode } from './cache-mode.js';
import type { Run } from './command.js';
import { COMPARE } from './messages-compare.js';
import { usageError } from './messages.js';
import { Refusal } from './refusal.js';

/** Exit codes; 0 and 1 are the answer. */
const DIFFERENT = 1;
const NOT_OPENED = 2;
