import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { ChangeoverError } from '../domain/errors.ts';

/** How long the Runtime API may take to answer a batch, in milliseconds. */
const TIMEOUT_MS = 5_000;
/** Ends each answer in interactive mode (management.txt 9.3). */
const PROMPT = '\n> ';
/** So much of a prompt can be at the end of what came without being one. */
const SEAM = PROMPT.length - 1;
/** HAProxy closes an interactive connection that is idle for longer, in seconds. */
const IDLE_SECONDS = 86_400;

/** Where the Runtime API listens: `unix@/path` or `host:port`. */
export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** @throws ChangeoverError `InvalidRequest` */
export function parseSocketAddress(text: string): SocketAddress {
  if (text.startsWith('unix@')) return { path: text.slice('unix@'.length) };
  if (text.startsWith('/')) return { path: text };
  const match = /^(?:ipv[46]@)?\[?([^[\]]+)\]?:(\d{1,5})$/.exec(text);
  if (match === null) {
    throw new ChangeoverError(
      'InvalidRequest',
      `"${text}" is no address of a Runtime API; write unix@/run/haproxy/admin.sock or 127.0.0.1:9999.`,
    );
  }
  return { host: match[1] ?? '', port: Number(match[2]) };
}

/** An argument of a command: separators of the command line are escaped. */
export function argument(text: string): string {
  return text.replace(/[\\ ;<]/g, (char) => `\\${char}`);
}

/**
 * One interactive connection to an HAProxy process. Commands travel pipelined and are answered in order; the connection
 * belongs to the process that accepted it, and keeps that process alive over a reload until it is closed.
 */
export class RuntimeConnection {
  readonly #socket: Socket;
  readonly #name: string;
  /** What came and belongs to no answer yet, in pieces: joined and searched anew for each, a long answer takes squared time. */
  #pieces: string[] = [];
  /** The end of it, in which a prompt may have begun. */
  #tail = '';
  #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];
  #failure: ChangeoverError | null = null;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => this.#read(chunk));
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('close', () => this.#fail('it closed the connection'));
  }

  /** @throws ChangeoverError `GatewayUnreachable` */
  static async open(
    address: SocketAddress,
    { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<RuntimeConnection> {
    const name = 'path' in address ? address.path : `${address.host}:${address.port}`;
    const socket = createConnection(address);
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
    } catch (cause) {
      socket.destroy();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ChangeoverError(
        'GatewayUnreachable',
        `HAProxy's Runtime API at ${name} is not there: ${why}.`,
        {
          cause,
        },
      );
    }
    const connection = new RuntimeConnection(socket, name);
    await connection.send(['prompt', `set timeout cli ${IDLE_SECONDS}`], { timeoutMs });
    return connection;
  }

  get closed(): boolean {
    return this.#failure !== null;
  }

  /**
   * The answers to a batch of commands, without the empty line at their end.
   *
   * @throws ChangeoverError `GatewayUnreachable` if not all were answered; which of them took effect is not known then.
   */
  async send(
    commands: readonly string[],
    { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<string[]> {
    if (this.#failure !== null) throw this.#failure;
    if (commands.length === 0) return [];
    const answers = commands.map(
      () =>
        new Promise<string>((resolve, reject) => {
          this.#waiting.push({ resolve, reject });
        }),
    );
    const timer = setTimeout(() => this.#fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    this.#socket.write(commands.map((command) => `${command}\n`).join(''), 'latin1');
    try {
      const all = await Promise.allSettled(answers);
      return all.map((one) => {
        if (one.status === 'rejected') throw one.reason;
        return one.value;
      });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#fail('it was closed');
  }

  #read(chunk: string): void {
    const seam = this.#tail + chunk;
    this.#pieces.push(chunk);
    this.#tail = seam.slice(-SEAM);
    // A prompt alone is an answer too, so that a beginning is looked at as a whole.
    if (seam.length === chunk.length + SEAM && !seam.includes(PROMPT)) return;
    let text = this.#pieces.join('');
    for (let at = endIn(text); at !== null; at = endIn(text)) {
      const answer = text.slice(0, at.answer);
      text = text.slice(at.next);
      this.#waiting.shift()?.resolve(answer);
    }
    this.#pieces = [text];
    this.#tail = text.slice(-SEAM);
  }

  #fail(why: string): void {
    if (this.#failure !== null) return;
    this.#failure = new ChangeoverError(
      'GatewayUnreachable',
      `HAProxy's Runtime API at ${this.#name} broke off: ${why}.`,
    );
    this.#socket.destroy();
    for (const { reject } of this.#waiting) reject(this.#failure);
    this.#waiting = [];
  }
}

/** `prompt` itself is answered by a prompt without a line before it. */
function endIn(text: string): { answer: number; next: number } | null {
  if (text.startsWith(PROMPT.slice(1))) return { answer: 0, next: PROMPT.length - 1 };
  const at = text.indexOf(PROMPT);
  return at < 0 ? null : { answer: at, next: at + PROMPT.length };
}

/** For commands that say nothing where they succeed. @throws ChangeoverError `GatewayUnreachable` with what was said. */
export function expectSilence(commands: readonly string[], answers: readonly string[]): void {
  const failed = answers.findIndex((answer) => answer.trim() !== '');
  if (failed < 0) return;
  throw new ChangeoverError(
    'GatewayUnreachable',
    `HAProxy refused "${commands[failed] ?? ''}": ${(answers[failed] ?? '').trim()}`,
  );
}
