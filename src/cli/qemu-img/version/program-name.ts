import path from 'node:path';

/**
 * What a program was called as: its own first argument where somebody set it (`exec -a`), else the name of the file or
 * link that Node runs.
 *
 * @param argv0 the first argument of the process, as it was given.
 * @param executable Node's own file.
 * @param script the file that Node was told to run; links are not followed.
 */
export function programName(argv0: string, executable: string, script: string): string {
  const called = path.basename(argv0);
  const isNode = called === path.basename(executable) || /^node(?:js)?$/.test(called);
  return isNode || called === '' ? path.basename(script).replace(/\.[cm]?js$/, '') : called;
}
