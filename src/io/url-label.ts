/**
 * An address as people may see it. What follows the path of a web address may be a signature, and what is before the host
 * a password: neither is for messages. In any other name these are parts of it.
 */
export function urlLabel(url: string): string {
  if (!/^https?:/i.test(url)) return url;
  return url.replace(/[?#].*$/su, '').replace(/^([a-z]+:\/\/)[^/]*@/iu, '$1');
}
