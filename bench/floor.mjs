/**
 * The floor under create, apply and delete: reads every L2 table and refcount block of an image, writes
 * the same bytes to new clusters at its end, and syncs twice. No counting, no check, no safety.
 *
 * node floor.mjs IMAGE
 */
import { Buffer } from 'node:buffer';
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

const file = openSync(process.argv[2], 'r+');
const bytes = (at, length) => {
  const buffer = Buffer.alloc(length);
  readSync(file, buffer, 0, length, at);
  return buffer;
};
const header = bytes(0, 104);
const clusterBytes = 2 ** header.readUInt32BE(20);
const entries = (at, count) => {
  const table = bytes(at, count * 8);
  return Array.from({ length: count }, (_, i) => {
    return Number(table.readBigUInt64BE(i * 8) & 0x00ff_ffff_ffff_fe00n);
  }).filter((offset) => offset !== 0);
};
const l2s = entries(Number(header.readBigUInt64BE(40)), header.readUInt32BE(36));
const tableBytes = header.readUInt32BE(56) * clusterBytes;
const blocks = entries(Number(header.readBigUInt64BE(48)), tableBytes / 8);

let end = Math.ceil(fstatSync(file).size / clusterBytes) * clusterBytes;
const batch = Buffer.alloc(64 * clusterBytes);
const tables = [...l2s, ...blocks];
for (let first = 0; first < tables.length; first += 64) {
  const some = tables.slice(first, first + 64);
  some.forEach((at, i) => readSync(file, batch, i * clusterBytes, clusterBytes, at));
  writeSync(file, batch, 0, some.length * clusterBytes, end);
  end += some.length * clusterBytes;
}
fdatasyncSync(file);
writeSync(file, header.subarray(24, 72), 0, 48, 24);
fdatasyncSync(file);
closeSync(file);
