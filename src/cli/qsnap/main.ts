import { processStreams } from '../streams.js';
import { run } from './run.js';

const streams = processStreams('qsnap');
void run(process.argv.slice(2), streams).then(streams.exit);
