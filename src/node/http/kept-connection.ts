/**
 * A connection to a web server for many answers of known length. Node's own client makes a buffer of each piece that comes,
 * which takes most of the time of a range; here one piece of memory serves them all.
 */
import { connect as connectPlainly, isIP, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { parseAnswerHead, type AnswerHead } from './answer-head.js';

/** What a connection reads at a time at most. */
const BUFFER_BYTES = 128 * 1024;

/** As much as Node's own client takes. */
const HEAD_BYTES_MAX = 16 * 1024;

/** Servers close a connection that nobody uses, mostly after 5 seconds or more. */
const IDLE_MS = 4000;

/** The answer is none that is understood here, or there was none: Node's own client may have one. */
export class NotUnderstood extends Error {}

/** An answer whose body was not read yet. */
export interface KeptAnswer extends AnswerHead {
  /** Hands over the body in pieces, which lie in memory that is used again. */
  drain(take: (bytes: Uint8Array) => void): Promise<void>;
  /** Ends the connection, if anything is still to come. */
  cancel(): void;
}

/** What the connection is waited for with. */
type Stage =
  | { readonly name: 'idle' }
  | ({ readonly name: 'head'; text: string } & Waiter<AnswerHead>)
  /** The body was not asked for yet; `held` came with the head, and lies in the buffer. */
  | { readonly name: 'paused'; readonly head: AnswerHead; readonly held: Uint8Array }
  | ({
      readonly name: 'body';
      readonly head: AnswerHead;
      left: number;
      readonly take: (bytes: Uint8Array) => void;
    } & Waiter<void>)
  | { readonly name: 'ended'; readonly error: unknown };

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class KeptConnection {
  readonly #socket: Socket;
  readonly #onIdle: (connection: KeptConnection) => void;
  #stage: Stage = { name: 'idle' };
  /** Whether an answer came over it before: then the server may have closed it meanwhile. */
  #isUsed = false;
  #forget = (): void => undefined;

  /** @param onIdle told whenever an answer has come whole, and another request may be sent. */
  constructor({ protocol, hostname, port }: URL, onIdle: (connection: KeptConnection) => void) {
    this.#onIdle = onIdle;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const isSecure = protocol === 'https:';
    const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const options = {
      ...{ host, port: port === '' ? (isSecure ? 443 : 80) : Number(port), noDelay: true },
      onread: { buffer, callback: (count: number) => this.#onBytes(buffer.subarray(0, count)) },
    };
    const names = { ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 && { servername: host }) };
    this.#socket = isSecure ? connectSecurely({ ...options, ...names }) : connectPlainly(options);
    this.#socket.on('error', (error) => {
      this.#end(error);
    });
    this.#socket.on('close', () => {
      this.#end(new Error('the connection was closed before everything was sent'));
    });
    this.#socket.on('timeout', () => this.#socket.destroy());
  }

  get isIdle(): boolean {
    return this.#stage.name === 'idle';
  }

  /**
   * Sends a request, once the connection is idle.
   *
   * @param request all of its head.
   * @throws NotUnderstood, or what the connection failed with, or the reason of `signal`.
   */
  async ask(request: string, signal?: AbortSignal): Promise<KeptAnswer> {
    signal?.throwIfAborted();
    const onAbort = (): void => {
      this.#end(signal!.reason);
    };
    signal?.addEventListener('abort', onAbort);
    this.#forget = () => signal?.removeEventListener('abort', onAbort);
    const head = await new Promise<AnswerHead>((resolve, reject) => {
      this.#stage = { name: 'head', text: '', resolve, reject };
      this.#socket.ref().setTimeout(0);
      this.#socket.write(request, 'latin1');
    });
    return {
      ...head,
      drain: (take) => this.#drain(take),
      cancel: () => {
        if (this.#stage.name === 'paused') this.#end(new Error('the body was not read'));
      },
    };
  }

  /** @returns false: nothing more is read until the body is asked for. */
  #onBytes(bytes: Buffer): boolean {
    const stage = this.#stage;
    if (stage.name === 'head') return this.#onHead(stage, bytes);
    if (stage.name === 'body') this.#onBody(stage, bytes);
    else this.#end(new Error('the server sends what nobody asked for'));
    return true;
  }

  #onHead(stage: Stage & { name: 'head' }, bytes: Buffer): boolean {
    const before = stage.text.length;
    stage.text += bytes.toString('latin1', 0, Math.min(bytes.length, HEAD_BYTES_MAX));
    const end = stage.text.indexOf('\r\n\r\n');
    if (end === -1) {
      if (stage.text.length >= HEAD_BYTES_MAX) this.#end(new NotUnderstood());
      return true;
    }
    const head = parseAnswerHead(stage.text.slice(0, end));
    if (head === undefined) {
      this.#end(new NotUnderstood());
      return true;
    }
    this.#isUsed = true;
    this.#stage = { name: 'paused', head, held: bytes.subarray(end + 4 - before) };
    stage.resolve(head);
    return false;
  }

  #onBody(stage: Stage & { name: 'body' }, bytes: Uint8Array): void {
    if (bytes.length > stage.left) {
      this.#end(new Error('the server sends more than it says'));
      return;
    }
    try {
      if (bytes.length > 0) stage.take(bytes);
    } catch (error) {
      this.#end(error);
      return;
    }
    stage.left -= bytes.length;
    if (stage.left > 0) return;
    stage.resolve();
    if (stage.head.closes) this.#end(undefined);
    else this.#idle();
  }

  async #drain(take: (bytes: Uint8Array) => void): Promise<void> {
    const paused = this.#stage;
    if (paused.name === 'ended') throw paused.error;
    if (paused.name !== 'paused') return;
    const { head, held } = paused;
    await new Promise<void>((resolve, reject) => {
      const stage = { name: 'body', head, left: head.bodyBytes, take, resolve, reject } as const;
      this.#stage = stage;
      this.#onBody(stage, held);
      this.#socket.resume();
    });
  }

  #idle(): void {
    this.#forget();
    this.#stage = { name: 'idle' };
    this.#socket.unref().setTimeout(IDLE_MS);
    this.#onIdle(this);
  }

  /** Tells who waits, and closes the connection. */
  #end(error: unknown): void {
    const stage = this.#stage;
    if (stage.name === 'ended') return;
    this.#forget();
    const isStale = stage.name === 'head' && stage.text === '' && this.#isUsed;
    this.#stage = { name: 'ended', error };
    this.#socket.destroy();
    if (isStale) stage.reject(new NotUnderstood());
    else if (stage.name === 'head' || stage.name === 'body') stage.reject(error);
  }
}
