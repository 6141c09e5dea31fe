import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { processKey, readProcessStat } from '../../src/os/process-stat.ts';
import { readTcpConnections, TCP_STATE } from '../../src/os/tcp-connections.ts';

describe.runIf(process.platform === 'linux')('what the system shows', () => {
  it('tells a process by its name, parent and start, and a later one with its number from it', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const stat = readProcessStat(child.pid ?? 0);
    expect(stat).toMatchObject({ pid: child.pid, name: 'sleep', isLive: true, parent: process.pid });
    if (stat === undefined) return;
    expect(processKey(stat)).not.toBe(processKey({ ...stat, started: stat.started + 1 }));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readProcessStat(stat.pid)?.isLive ?? false).toBe(false);
  });

  it('tells both ends of a connection', async () => {
    await using server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const client = createConnection({ host: '127.0.0.1', port });
    await once(client, 'connect');
    const { localPort } = client;
    const connections = await readTcpConnections();
    expect(connections).toContainEqual(
      expect.objectContaining({ localPort, remotePort: port, state: TCP_STATE.established }),
    );
    expect(connections).toContainEqual(
      expect.objectContaining({ localPort: port, remotePort: 0, state: TCP_STATE.listen }),
    );
    client.destroy();
  });
});
