/** What the command line takes of the catalogue: a program of its own in the build. */
import type { FleetCommands } from '../qsnap/program.js';
import { addCatalog, addWorker } from './declare/catalog.js';

export const COMMANDS: FleetCommands = { catalog: addCatalog, worker: addWorker };
