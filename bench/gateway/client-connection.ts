import { connect, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

/** One connection of the load: a request at a time, and no more looked at of the answer than its status and length. */
export class ClientConnection {
  readonly #socket: Socket;
  #rest: Buffer | null = null;
  #missing = -1;
  #status = 0;
  /** Called with the status of the answer, or 0 where the connection broke. */
  onDone: ((status: number) => void) | null = null;
  closed = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => this.#end());
    this.#socket.on('close', () => this.#end());
  }

  send(request: string): void {
    this.#socket.write(request, 'latin1');
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#missing < 0) {
      const all: Buffer = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
      const end = all.indexOf(HEAD_END);
      if (end < 0) {
        this.#rest = all;
        return;
      }
      const head = all.toString('latin1', 0, end);
      this.#rest = null;
      this.#status = Number(head.slice(9, 12));
      const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      this.#missing = length - (all.length - end - 4);
    } else {
      this.#missing -= chunk.length;
    }
    if (this.#missing > 0) return;
    this.#missing = -1;
    this.#done(this.#status);
  }

  #end(): void {
    if (this.closed) return;
    this.closed = true;
    this.#done(0);
  }

  #done(status: number): void {
    const { onDone } = this;
    this.onDone = null;
    onDone?.(status);
  }
}
