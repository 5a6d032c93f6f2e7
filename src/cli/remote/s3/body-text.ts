import type { HttpResponse } from '../../../internal.js';

/**
 * The text of a body.
 *
 * @throws RangeError where it is longer than `bytesMax`; what reading throws.
 */
export async function bodyText(
  body: NonNullable<HttpResponse['body']>,
  bytesMax: number,
): Promise<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let [text, count] = ['', 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    count += value?.length ?? 0;
    if (count > bytesMax) {
      await reader.cancel();
      throw new RangeError(`the answer is longer than ${bytesMax} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}
