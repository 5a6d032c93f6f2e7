import { Blob } from 'node:buffer';
import { openAsBlob, writeFileSync } from 'node:fs';
import path from 'node:path';
import { blobSource } from '../../src/io/blob.js';
import { temporaryDirectory } from '../support/directories.js';
import { sourceContract } from './device-contract.js';

sourceContract('blob', (bytes) => Promise.resolve(blobSource(new Blob([bytes]))));
sourceContract('blob of a file', async (bytes) => {
  const file = path.join(temporaryDirectory(), 'device.img');
  writeFileSync(file, bytes);
  return blobSource(await openAsBlob(file), file);
});
