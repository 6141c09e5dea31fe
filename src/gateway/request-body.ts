import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/**
 * A request's body on its way to a server. It stands between the two connections so that a server which answers early
 * and hangs up ends this stream, and not the client's connection, on which the answer is still to be given. What the
 * client then still sends is read and dropped.
 */
export class RequestBody extends Readable {
  readonly #source: IncomingMessage;

  constructor(source: IncomingMessage) {
    super({ highWaterMark: source.readableHighWaterMark });
    this.#source = source;
    source.pause();
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#source.resume();
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };
}
