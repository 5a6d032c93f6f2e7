import { expect, test } from 'vitest';
import {
  shadowWriteBytes,
  shadowWriteRanges,
  type ShadowWrite,
} from '../../../../src/edit/tx/plan.js';
import { AS_READ } from '../../../support/table-content.js';

const LITERAL: ShadowWrite = { kind: 'literal', what: 'x', at: 4096, bytes: new Uint8Array(1024) };
const TABLES: ShadowWrite = {
  kind: 'tables',
  what: 'y',
  tableBytes: 512,
  targets: Float64Array.of(512, 1024, 2048, 2560, 2 ** 52),
  sources: undefined,
  content: AS_READ,
};

test('bytes', () => {
  expect([shadowWriteBytes(LITERAL), shadowWriteBytes(TABLES)]).toEqual([1024, 2560]);
});

test('ranges: neighbouring tables are joined', () => {
  expect(shadowWriteRanges(LITERAL)).toEqual([{ at: 4096, length: 1024 }]);
  expect(shadowWriteRanges(TABLES)).toEqual([
    { at: 512, length: 1024 },
    { at: 2048, length: 1024 },
    { at: 2 ** 52, length: 512 },
  ]);
});
