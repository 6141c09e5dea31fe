import { slotId, slotName } from './layout.ts';

/** Administrative state of a server in a slot, as `set server … state` takes it. */
export type ServerState = 'ready' | 'drain' | 'maint';

/** `srv_admin_state` of management.txt, "show servers state": a mask. */
const MAINTENANCE = 0x01 | 0x02 | 0x20;
const DRAIN = 0x08 | 0x10;

export function stateOf(adminState: number): ServerState {
  if ((adminState & MAINTENANCE) !== 0) return 'maint';
  return (adminState & DRAIN) !== 0 ? 'drain' : 'ready';
}

export interface StateServer {
  readonly id: number;
  readonly name: string;
  readonly url: URL;
}

/** What a server-state file has to hold for HAProxy to come back with these states (format version 1). */
export function serverStateFile(
  service: string,
  slots: number,
  servers: readonly StateServer[],
  stateIn: (slot: number, server: string) => ServerState,
): string {
  const lines = ['1', '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state …'];
  for (let slot = 1; slot <= slots; slot += 1) {
    for (const { id, name, url } of servers) {
      const state = stateIn(slot, name);
      const [operating, admin, check] =
        state === 'maint' ? [0, 0x01, 14] : state === 'drain' ? [2, 0x08, 6] : [2, 0, 6];
      const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
      lines.push(
        `${slotId(slot)} ${slotName(service, slot)} ${id} ${name} ${url.hostname} ${operating} ${admin} 1 1 0 6 3 1 ${check} 0 1 1 - ${port} - 0 0 - - 0`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
