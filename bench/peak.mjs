// Preloaded into a measured Node process: leaves its peak of resident memory in a file.
import { writeFileSync } from 'node:fs';

process.on('exit', () => {
  writeFileSync(process.env.QSNAP_BENCH_PEAK, String(process.resourceUsage().maxRSS));
});
