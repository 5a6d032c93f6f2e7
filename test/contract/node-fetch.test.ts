/** `nodeFetch` against servers that send byte by byte what a test says. */
import { once } from 'node:events';
import http from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { drain, type HttpResponse } from '../../src/io/http-answer.js';
import { nodeFetch } from '../../src/node/http/node-fetch.js';

interface Asked {
  /** Which connection it came over, from 0. */
  readonly connection: number;
  readonly head: string;
}

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  for (const socket of sockets) socket.destroy();
});

/** What the server sends for its first request, its second and so on; the last for all others. */
type Answer = (socket: Socket) => void;

async function served(...answers: Answer[]) {
  const asked: Asked[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = connections++;
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end; (end = text.indexOf('\r\n\r\n')) !== -1; text = text.slice(end + 4)) {
        const answer = answers[Math.min(asked.length, answers.length - 1)]!;
        asked.push({ connection, head: text.slice(0, end) });
        answer(socket);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/disk?a=b`;
  const fetch = nodeFetch();
  const ask = (headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(url, { headers, ...(signal !== undefined && { signal }) });
  return { url, asked, ask };
}

const OK = 'HTTP/1.1 206 Partial Content\r\n';
const send =
  (text: string): Answer =>
  (socket) => {
    socket.write(text, 'latin1');
  };
const sendThenClose =
  (text: string): Answer =>
  (socket) => {
    socket.end(text, 'latin1');
  };
async function inPieces(socket: Socket, text: string, length: number): Promise<void> {
  for (let at = 0; at < text.length; at += length) {
    socket.write(text.slice(at, at + length), 'latin1');
    await sleep(1);
  }
}

const whole = send(`${OK}Content-Length: 3\r\nETag: "x"\r\n\r\nabc`);

async function textOf({ body }: HttpResponse): Promise<string> {
  const pieces: Buffer[] = [];
  await drain(body, (bytes) => pieces.push(Buffer.from(bytes)));
  return Buffer.concat(pieces).toString('latin1');
}

/** A server that has answered with a range before: from here on its connections are kept. */
async function known(...answers: Answer[]) {
  const all = await served(whole, ...answers);
  expect(await textOf(await all.ask())).toBe('abc');
  return all;
}

test('the second request and those after it go over one connection', async () => {
  const { asked, ask, url } = await known(whole);
  for (let i = 0; i < 3; i++)
    expect(await textOf(await ask({ Range: `bytes=${i}-3` }))).toBe('abc');
  expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 1, 1]);
  expect(asked[2]!.head.split('\r\n')).toEqual([
    'GET /disk?a=b HTTP/1.1',
    `host: ${new URL(url).host}`,
    'accept-encoding: identity',
    'Range: bytes=1-3',
  ]);
});

test('requests at the same time have a connection each', async () => {
  const { asked, ask } = await known(whole);
  const answers = [ask(), ask(), ask()];
  for (const answer of answers) expect(await textOf(await answer)).toBe('abc');
  expect(new Set(asked.map(({ connection }) => connection)).size).toBe(4);
});

test('an answer may come in pieces of any length', async () => {
  const text = `${OK}content-LENGTH:\t40  \r\nX-Y:\r\nX-Y: 2\r\n\r\n${'0123456789'.repeat(4)}`;
  for (const length of [1, 7, text.indexOf('\r\n\r\n') + 2, text.length - 1]) {
    const { ask } = await known((socket) => {
      void inPieces(socket.setNoDelay(true), text, length);
    });
    const response = await ask();
    expect([response.status, response.headers.get('x-y')]).toEqual([206, ', 2']);
    expect(await textOf(response)).toBe('0123456789'.repeat(4));
  }
});

test('a body is not read before somebody asks for it, and long ones come whole', async () => {
  const bytes = 'x'.repeat(3_000_000);
  const { ask } = await known(send(`${OK}Content-Length: 3000000\r\n\r\n${bytes}`));
  const response = await ask();
  await sleep(50);
  expect(await textOf(response)).toBe(bytes);
  const reader = (await ask()).body!.getReader();
  expect((await reader.read()).value!.length).toBe(3_000_000);
  expect((await reader.read()).done).toBe(true);
});

describe('what the kept connection does not understand, Node’s client does:', () => {
  test.each([
    ['chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, 206],
    ['another version', 'HTTP/1.0 206 OK\r\nContent-Length: 3\r\n\r\nabc', 206],
    ['a body that ends with the connection', `${OK}\r\nabc`, 206],
    [
      'a hint in front of the answer',
      `HTTP/1.1 103 Early Hints\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
      206,
    ],
    ['a redirect', 'HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 3\r\n\r\nabc', 302],
    [
      'a long text of a failure',
      `HTTP/1.1 403 No\r\nContent-Length: 70000\r\n\r\n${'abc'.padEnd(70_000)}`,
      403,
    ],
  ])('%s', async (_, text, status) => {
    const { asked, ask } = await known(sendThenClose(text));
    const response = await ask();
    expect(response.status).toBe(status);
    expect((await textOf(response)).trim()).toBe('abc');
    expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 0]);
  });

  test('a connection that the server has closed meanwhile', async () => {
    const { asked, ask } = await known(whole, (socket) => socket.destroy(), whole);
    expect(await textOf(await ask())).toBe('abc');
    expect(await textOf(await ask())).toBe('abc');
    expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 1, 0]);
  });

  test.each([
    ['a field over two lines', 'X-A: b\r\n c\r\n', 'Unexpected whitespace'],
    ['fields that are too long', 'X-A: bbbbbbbbbb\r\n'.repeat(3000), 'Header overflow'],
    ['two lengths', 'Content-Length: 4\r\n', 'Content-Length'],
  ])('%s, which it refuses', async (_, fields, message) => {
    const { ask } = await known(sendThenClose(`${OK}Content-Length: 3\r\n${fields}\r\nabc`));
    await expect(ask()).rejects.toThrow(message);
  });
});

test('a connection that says that it ends is not used again', async () => {
  const closing = send(`${OK}Connection: Close\r\nContent-Length: 3\r\n\r\nabc`);
  const { asked, ask } = await known(closing);
  for (let i = 0; i < 2; i++) expect(await textOf(await ask())).toBe('abc');
  expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 2]);
});

test('texts of failures are told, and those of servers that are too busy are not waited for', async () => {
  const { ask } = await known(
    send('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnone'),
    send('HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n'),
  );
  expect(await textOf(await ask())).toBe('none');
  const busy = await ask();
  expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '7']);
  await busy.body!.cancel();
});

describe('an error', () => {
  test.each([
    ['of a first connection that ends', sendThenClose(''), 'the connection was closed'],
    ['of a head that breaks off', sendThenClose(OK), 'the connection was closed'],
    [
      'of a body that breaks off',
      sendThenClose(`${OK}Content-Length: 3\r\n\r\nab`),
      'the connection was closed',
    ],
    [
      'of a body that is longer than it says',
      send(`${OK}Content-Length: 3\r\n\r\nabcd`),
      'more than it says',
    ],
  ])('%s', async (_, answer, message) => {
    const { ask } = await known(answer);
    await expect(ask().then(textOf)).rejects.toThrow(message);
  });

  test('of who takes the body ends the connection', async () => {
    const { asked, ask } = await known(whole);
    const failing = drain((await ask()).body, () => {
      throw new Error('no room');
    });
    await expect(failing).rejects.toThrow('no room');
    expect(await textOf(await ask())).toBe('abc');
    expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 2]);
  });

  test('what comes without a request ends the connection', async () => {
    const ends: Promise<unknown>[] = [];
    const { asked, ask } = await known((socket) => {
      ends.push(once(socket, 'close'));
      socket.write(`${OK}Content-Length: 3\r\n\r\nabc`);
      setTimeout(() => socket.write('more'), 10);
    });
    await Promise.all(ends);
    expect(await textOf(await ask())).toBe('abc');
    await Promise.all(ends);
    expect(await textOf(await ask())).toBe('abc');
    expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 2]);
  });
});

describe('a signal ends', () => {
  const stop = new Error('stop');

  test('a request before it is sent', async () => {
    const { asked, ask } = await known(whole);
    await expect(ask({}, AbortSignal.abort(stop))).rejects.toThrow('stop');
    expect(asked.length).toBe(1);
  });

  test('one that is not answered', async () => {
    const { ask } = await known(() => undefined);
    const controller = new AbortController();
    const asking = ask({}, controller.signal);
    setTimeout(() => {
      controller.abort(stop);
    }, 20);
    await expect(asking).rejects.toThrow('stop');
  });

  test('a body that stands still, and none that is over', async () => {
    const { asked, ask } = await known(send(`${OK}Content-Length: 3\r\n\r\na`), whole);
    const controller = new AbortController();
    const reading = textOf(await ask({}, controller.signal));
    controller.abort(stop);
    await expect(reading).rejects.toThrow('stop');
    const other = new AbortController();
    expect(await textOf(await ask({}, other.signal))).toBe('abc');
    other.abort(stop);
    expect(await textOf(await ask())).toBe('abc');
    expect(asked.map(({ connection }) => connection)).toEqual([0, 1, 2, 2]);
  });
});

test('a header that would end the head is refused', async () => {
  const { ask } = await known(whole);
  await expect(ask({ Authorization: 'x\r\nX-Other: y' })).rejects.toThrow('Invalid character');
});

test('where Node asks another machine for it, a proxy, that is never gone around', async () => {
  const { asked, url } = await served(whole);
  const elsewhere = url.replace(/:\d+/, ':9');
  const agent = new http.Agent();
  const { port } = new URL(url);
  const usual = http.globalAgent;
  agent.createConnection = () => connect(Number(port), '127.0.0.1');
  http.globalAgent = agent;
  try {
    const fetch = nodeFetch();
    for (let i = 0; i < 3; i++)
      expect(await textOf(await fetch(elsewhere, { headers: {} }))).toBe('abc');
  } finally {
    http.globalAgent = usual;
  }
  expect(asked.length).toBe(3);
});
