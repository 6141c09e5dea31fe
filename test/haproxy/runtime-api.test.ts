import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectSilence, parseSocketAddress, RuntimeConnection } from '../../src/haproxy/runtime-api.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

/** Answers each line as `talk` says; null for no answer at all. */
class Peer implements AsyncDisposable {
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(talk: (command: string, socket: Socket) => string | null) {
    this.#server = createServer((socket) => {
      this.sockets.add(socket);
      let text = '';
      socket.setEncoding('latin1');
      socket.on('error', () => undefined);
      socket.on('data', (chunk: string) => {
        const lines = (text + chunk).split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const said = talk(line, socket);
          if (said !== null) socket.write(said, 'latin1');
        }
      });
    });
  }

  async listen(at: string | number): Promise<number> {
    this.#server.listen(typeof at === 'number' ? { port: at, host: '127.0.0.1' } : { path: at });
    await once(this.#server, 'listening');
    return typeof at === 'number' ? (this.#server.address() as AddressInfo).port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const PROMPT = '\n> ';
/** As HAProxy greets: `prompt` is answered by a prompt alone. */
function greeted(command: string): string | undefined {
  if (command === 'prompt') return PROMPT;
  return command.startsWith('set timeout') ? PROMPT : undefined;
}

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runtime-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('an address of the Runtime API', () => {
  it.each([
    ['unix@/run/a.sock', { path: '/run/a.sock' }],
    ['/run/a.sock', { path: '/run/a.sock' }],
    ['127.0.0.1:9999', { host: '127.0.0.1', port: 9999 }],
    ['ipv4@127.0.0.1:9999', { host: '127.0.0.1', port: 9999 }],
    ['ipv6@[::1]:9999', { host: '::1', port: 9999 }],
    ['[::1]:9999', { host: '::1', port: 9999 }],
  ])('%s', (text, address) => {
    expect(parseSocketAddress(text)).toEqual(address);
  });

  it('that is none is refused with what to write', () => {
    expect(() => parseSocketAddress('haproxy')).toThrow(/"haproxy" is no address .* write unix@/);
  });
});

describe.each(['unix', 'tcp'] as const)('a connection to a Runtime API by %s', (kind) => {
  async function open(peer: Peer): Promise<RuntimeConnection> {
    const path = join(folder, 'peer.sock');
    if (kind === 'unix') {
      await peer.listen(path);
      return RuntimeConnection.open(parseSocketAddress(`unix@${path}`));
    }
    return RuntimeConnection.open(parseSocketAddress(`127.0.0.1:${await peer.listen(0)}`));
  }

  it('answers a batch in its order, in whatever pieces the answers come', async () => {
    const pieces: string[] = [];
    await using peer = new Peer((command, socket) => {
      const greeting = greeted(command);
      if (greeting !== undefined) return greeting;
      pieces.push(`said ${command}\nand more > of it\n${PROMPT}`);
      if (command !== 'last') return null;
      // Octet by octet, each in a write of its own: prompts come in halves.
      void (async () => {
        for (const octet of pieces.join('')) {
          socket.write(octet);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      return null;
    });
    const connection = await open(peer);
    const answers = await connection.send(['one', 'two', 'last']);
    expect(answers).toEqual(['one', 'two', 'last'].map((name) => `said ${name}\nand more > of it\n`));
    connection.close();
  });

  it('gives the error inside a batch to the command that it answers, and goes on', async () => {
    await using peer = new Peer(
      (command) => greeted(command) ?? (command === 'bad' ? `No such server.\n${PROMPT}` : PROMPT),
    );
    const connection = await open(peer);
    const commands = ['good', 'bad', 'good'];
    const answers = await connection.send(commands);
    expect(answers.map((answer) => answer.trim())).toEqual(['', 'No such server.', '']);
    expect(() => expectSilence(commands, answers)).toThrow('HAProxy refused "bad": No such server.');
    expect(await connection.send(['good'])).toEqual(['']);
    connection.close();
  });

  it('ends for all that wait where the peer goes away, and says so from then on', async () => {
    await using peer = new Peer((command, socket) => {
      if (command === 'go') socket.destroy();
      return greeted(command) ?? null;
    });
    const connection = await open(peer);
    const waiting = [connection.send(['wait', 'go']), connection.send(['later'])];
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'GatewayUnreachable' });
    expect(connection.closed).toBe(true);
    await expect(connection.send(['more'])).rejects.toMatchObject({ code: 'GatewayUnreachable' });
  });

  it('does not wait for ever for a peer that stops answering', async () => {
    await using peer = new Peer((command) => greeted(command) ?? (command === 'one' ? PROMPT : null));
    const connection = await open(peer);
    // It answers the first command of the batch, and then nothing.
    await expect(connection.send(['one', 'two'], { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'GatewayUnreachable',
      message: expect.stringContaining('no answer within 50 ms') as string,
    });
    expect(connection.closed).toBe(true);
  });
});

describe('a Runtime API that is not there', () => {
  it('is named with the cause', async () => {
    const path = join(folder, 'nobody.sock');
    await expect(RuntimeConnection.open({ path })).rejects.toMatchObject({
      code: 'GatewayUnreachable',
      message: expect.stringMatching(new RegExp(`${path} is not there: .*ENOENT`)) as string,
    });
  });

  it('that accepts and says nothing is given up', async () => {
    await using peer = new Peer(() => null);
    const port = await peer.listen(0);
    await expect(
      RuntimeConnection.open({ host: '127.0.0.1', port }, { timeoutMs: 50 }),
    ).rejects.toMatchObject({
      code: 'GatewayUnreachable',
    });
  });
});

describe('the Runtime API of a real HAProxy', () => {
  it('takes batches, says what it refuses, and names entries with separators in them', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const one = await new UpstreamServer('one').listen();
    const fixture = await HaproxyFixture.start(planFor([one]), { upstreams: [one] });
    await using _ = fixture;
    const connection = await RuntimeConnection.open(parseSocketAddress(`unix@${fixture.socket}`));
    const commands = ['set server nobody/none state ready', 'show info'];
    const answers = await connection.send(commands);
    expect(() => expectSilence(commands.slice(0, 1), answers)).toThrow(/HAProxy refused "set server nobody/);
    expect(answers[1]).toContain('Pid: ');
    const many = await connection.send(Array.from({ length: 2_000 }, () => 'show version'));
    expect(new Set(many).size).toBe(1);
    connection.close();
  });
});
