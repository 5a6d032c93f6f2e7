/** Connections to servers that may be asked again, for the whole process. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { KeptConnection, type KeptAnswer } from './kept-connection.js';

/** Idle connections by servers, the one that was used last at the end. */
const idle = new Map<string, KeptConnection[]>();

/**
 * Asks for what is at an address.
 *
 * @throws NotUnderstood where Node's own client should ask; else what the connection failed with.
 */
export async function askKept(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<KeptAnswer> {
  const request = requestOf(url, headers);
  return connectionTo(url).ask(request, signal);
}

function connectionTo(url: URL): KeptConnection {
  const waiting = idle.get(url.origin) ?? [];
  idle.set(url.origin, waiting);
  for (;;) {
    const connection = waiting.pop();
    if (connection === undefined) return new KeptConnection(url, (one) => waiting.push(one));
    // The others were closed by their server, or were not used for long.
    if (connection.isIdle) return connection;
  }
}

function requestOf(url: URL, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: url.host, ...headers }).map(([name, value]) => {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return `${name}: ${value}\r\n`;
  });
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
