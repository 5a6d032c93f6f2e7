/** A real browser: Debian's Chromium, driven by playwright-core. */
import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { describeUnless } from './left-out.js';

/** Where distributions put it; `QSNAP_CHROMIUM` names another one. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const executablePath = [process.env['QSNAP_CHROMIUM'], ...PATHS].find(
  (path) => path !== undefined && existsSync(path),
);

/**
 * `describe` for tests in a browser. Without one they are reported as skipped, with a line that says
 * so; where `QSNAP_REQUIRE_BROWSER=1` is set they fail.
 */
export function describeWithBrowser(name: string, fn: () => void): void {
  const lack =
    executablePath === undefined
      ? 'chromium is not installed (Debian: apt install chromium)'
      : undefined;
  describeUnless(lack, 'QSNAP_REQUIRE_BROWSER', name, fn);
}

/** A host name that leads to this machine, and that the browser does not take for it. */
export const FOREIGN_HOST = 'somewhere.test';

/** Starts the browser. It talks to this machine alone. */
export function startBrowser(): Promise<Browser> {
  // Every other name, and every service that a browser calls by itself, leads nowhere.
  const rules = `MAP ${FOREIGN_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`;
  return chromium.launch({
    executablePath: executablePath!,
    args: ['--no-proxy-server', `--host-resolver-rules=${rules}`],
  });
}
