// Preloaded into a measured Node process: leaves its peak of resident memory in a file, in KiB.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  writeFileSync(process.env.QSNAP_BENCH_PEAK, String(peak()));
});

/** What `resourceUsage` tells is at least what the program had that started this one. */
function peak() {
  try {
    return /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  } catch {
    return process.resourceUsage().maxRSS;
  }
}
