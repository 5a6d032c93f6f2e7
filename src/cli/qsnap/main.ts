import { processStreams } from '../streams.js';
import { useThreads } from '../threads.js';
import { run } from './run.js';

useThreads(process.env);
const streams = processStreams('qsnap');
void run(process.argv.slice(2), streams).then(streams.exit);
