/** Which functions of src/ the tests call. A count per function costs a third of V8's counts per block. */
import { Session } from 'node:inspector/promises';
import { fileURLToPath } from 'node:url';
import v8 from '@vitest/coverage-v8';
import type { CoverageProviderModule } from 'vitest/node';

/** Set for the projects whose calls count: those that need neither QEMU nor a build. */
const COUNTED = process.env['QSNAP_COUNTED'] === '1';

/** The process keeps it: a test file that is isolated loads this module anew. */
const kept = globalThis as { functionCounts?: Session };

const functionCounts: CoverageProviderModule = {
  getProvider: () => v8.getProvider(),

  async startCoverage() {
    if (!COUNTED || kept.functionCounts !== undefined) return;
    const session = new Session();
    kept.functionCounts = session;
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: false });
  },

  async takeCoverage({ moduleExecutionInfo } = {}) {
    if (kept.functionCounts === undefined) return { result: [] };
    const { result } = await kept.functionCounts.post('Profiler.takePreciseCoverage');
    const ours = result.filter(
      ({ url }) => url.startsWith('file:') && /\/src\//.test(url) && !/\/node_modules\//.test(url),
    );
    return {
      result: ours.map((script) => ({
        ...script,
        startOffset: moduleExecutionInfo?.get(fileURLToPath(script.url))?.startOffset ?? 0,
      })),
    };
  },
};

export default functionCounts;
