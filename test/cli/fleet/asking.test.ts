/** Questions, exports and reports of a catalogue, in the embedded database and on a server. */
import { afterAll, beforeAll, describe } from 'vitest';
import { openCatalogs, type Catalogs } from '../../support/catalogs.js';
import { commandCases } from './command-cases.js';
import { exportCases } from './export-cases.js';
import { pageCases } from './page-cases.js';
import { questionCases } from './question-cases.js';
import { reportCases } from './report-cases.js';
import { whatIfCases } from './what-if-cases.js';

/** One start for all: the embedded database takes seconds for it. */
let catalogs: Catalogs;
beforeAll(async () => {
  catalogs = await openCatalogs();
}, 60_000);
afterAll(() => catalogs.close());

const opened = (): Catalogs => catalogs;

describe('what a prune would do', () => {
  whatIfCases(opened);
});
describe('questions', () => {
  questionCases(opened);
});
describe('exports', () => {
  exportCases(opened);
});
describe('commands', () => {
  commandCases(opened);
});
describe('docs/catalog.md', () => {
  pageCases(opened);
});
describe('reports', () => {
  reportCases(opened);
});
