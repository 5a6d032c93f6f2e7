import { processStreams } from '../streams.js';
import { useThreads } from '../threads.js';
import { failureCode, run } from './run.js';

useThreads(process.env);
const argv = process.argv.slice(2);
const streams = processStreams({ program: 'qsnap', code: failureCode(argv) });
void run(argv, streams).then(streams.exit);
