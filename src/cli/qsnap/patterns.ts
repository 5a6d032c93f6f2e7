import picomatch from 'picomatch';

/** A slash is a character like others, and so is a dot in front. */
const OPTIONS = { bash: true, dot: true, nonegate: true, noextglob: true } as const;

const matchers = new Map<string, (text: string) => boolean>();

/** Whether a text is like a pattern of a shell, such as "auto-*". */
export function isLike(text: string, pattern: string): boolean {
  const matcher = matchers.get(pattern) ?? picomatch(pattern, OPTIONS);
  matchers.set(pattern, matcher);
  return matcher(text);
}
