import { processStreams } from '../streams.js';
import { run } from './run.js';

void run(process.argv.slice(2), processStreams()).then((code) => {
  process.exitCode = code;
});
