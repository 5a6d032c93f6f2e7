/**
 * Exit codes of `qsnap`. docs/cli.md has the same table; a test compares the two.
 *
 * Ours: a usage error is 1 as any other failure, so that 2, 3 and 63 keep the meaning that
 * `qemu-img check` gave them.
 */
export const EXIT_CODES = {
  done: { code: 0, meaning: 'everything that was asked for is done' },
  notDone: { code: 1, meaning: 'something was not done: wrong usage, a refusal or a failure' },
  corrupt: {
    code: 2,
    meaning:
      'a check found corruptions, a repair left some, a rescue lost something, or not all that was recovered is sure',
  },
  leaks: { code: 3, meaning: 'a check found leaks and nothing worse, or a repair left some' },
  violations: { code: 4, meaning: 'an audit found what fails the gate' },
  noCheck: { code: 63, meaning: 'a check of a file that is no qcow2 image' },
} as const;

/**
 * Exit codes of `qsnap compare` and `qsnap diff`, which have those of `cmp`, `diff` and `qemu-img compare`: a script
 * that compares expects them. Also wrong usage of them is 2.
 */
export const COMPARE_EXIT_CODES = {
  same: { code: 0, meaning: 'the disks have the same content' },
  different: { code: 1, meaning: 'the disks differ' },
  notCompared: { code: 2, meaning: 'they were not compared: wrong usage, a refusal or a failure' },
} as const;

export type ExitCode =
  | (typeof EXIT_CODES)[keyof typeof EXIT_CODES]['code']
  | (typeof COMPARE_EXIT_CODES)[keyof typeof COMPARE_EXIT_CODES]['code'];
