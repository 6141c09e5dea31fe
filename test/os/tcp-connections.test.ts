import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { countConnections } from '../../src/agent/in-flight.ts';
import { connectedPorts } from '../../src/haproxy/connected-ports.ts';
import { readTcpConnections, TCP_STATE } from '../../src/os/tcp-connections.ts';

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
/** Port 8080 of this machine, and of the other end 40000. */
const V4 = `${HEADER}   0: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  0 0 111 1 0\n`;
const V6 = `${HEADER}   0: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:9C41 01 00000000:00000000 00:00000000 00000000  0 0 222 1 0\n`;

/** A /proc of which one process, by its number and as `self`, shows these tables; null: one that cannot be read. */
async function shown(tables: Readonly<Record<string, string | null>>) {
  const proc = await mkdtemp(join(tmpdir(), 'proc-'));
  await mkdir(join(proc, '7', 'fd'), { recursive: true });
  await mkdir(join(proc, '7', 'net'));
  await symlink('7', join(proc, 'self'));
  await symlink('socket:[111]', join(proc, '7', 'fd', '3'));
  await symlink('socket:[222]', join(proc, '7', 'fd', '4'));
  for (const [name, text] of Object.entries(tables)) {
    const path = join(proc, '7', 'net', name);
    // To read a folder is an error for whoever runs this.
    if (text === null) await mkdir(path);
    else await writeFile(path, text);
  }
  return { proc, [Symbol.asyncDispose]: () => rm(proc, { recursive: true }) };
}

describe('connections of which the system shows only a part (invariant 2)', () => {
  it('are all there are where it has no other table', async () => {
    await using at = await shown({ tcp: V4 });
    expect(await readTcpConnections(7, at)).toEqual([
      { localPort: 8_080, remotePort: 40_000, state: TCP_STATE.established, inode: '111' },
    ]);
    expect(await countConnections(8_080, at)).toEqual({ inFlight: 1 });
    expect(await connectedPorts(7, at)).toEqual(new Set([40_000]));
  });

  it('are added up from both', async () => {
    await using at = await shown({ tcp: V4, tcp6: V6 });
    expect(await countConnections(8_080, at)).toEqual({ inFlight: 2 });
    expect(await connectedPorts(7, at)).toEqual(new Set([40_000, 40_001]));
  });

  it.each(['tcp', 'tcp6'])('are unknown where %s is there and cannot be read', async (name) => {
    await using at = await shown({ tcp: V4, tcp6: V6, [name]: null });
    await expect(readTcpConnections(7, at)).rejects.toThrow('EISDIR');
    expect(await countConnections(9_999, at)).toEqual({
      inFlight: null,
      inFlightProblem: expect.stringMatching(/^What is in flight cannot be counted: EISDIR/) as string,
    });
    expect(await connectedPorts(7, at)).toBeNull();
  });

  it('are unknown where it shows none', async () => {
    await using at = await shown({});
    expect(await readTcpConnections(7, at)).toBeUndefined();
    expect(await countConnections(8_080, at)).toMatchObject({
      inFlight: null,
      inFlightProblem: expect.stringContaining('shows no connections') as string,
    });
    expect(await connectedPorts(7, at)).toBeNull();
  });

  it('are unknown where an open file of the process cannot be told', async () => {
    await using at = await shown({ tcp: V4 });
    await writeFile(join(at.proc, '7', 'fd', '5'), '');
    expect(await connectedPorts(7, at)).toBeNull();
  });
});
