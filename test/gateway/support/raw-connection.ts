import { connect, type Socket } from 'node:net';

/** A client that says exactly the bytes it is told, for what no well-behaved client would send. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  received = '';
  closed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => (this.received += text));
    this.socket.on('error', () => undefined);
    this.socket.on('end', () => (this.closed = true));
    this.socket.on('close', () => (this.closed = true));
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Status line of the first answer. */
  get status(): number {
    return Number(this.received.slice(9, 12));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
