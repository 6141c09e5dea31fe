import { slotId, slotName } from './layout.ts';
import type { ServerAddress } from './server-address.ts';

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
  readonly address: ServerAddress;
}

/** In a server-state file: operational state, administrative state, and status of the last check. */
const IN_FILE: Readonly<Record<ServerState, readonly [operating: number, admin: number, check: number]>> = {
  ready: [2, 0, 6],
  drain: [2, 0x08, 6],
  maint: [0, 0x01, 14],
};

/** What a server-state file has to hold for HAProxy to come back with these states (format version 1). */
export function serverStateFile(
  service: string,
  slots: number,
  servers: readonly StateServer[],
  stateIn: (backend: string, server: string) => ServerState,
): string {
  let text = '1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state …\n';
  for (let slot = 1; slot <= slots; slot += 1) {
    const backend = slotName(service, slot);
    const start = `${slotId(slot)} ${backend}`;
    for (const { id, name, address } of servers) {
      const [operating, admin, check] = IN_FILE[stateIn(backend, name)];
      // It wins over `ssl` of the configuration.
      const usesTls = address.tls ? 1 : 0;
      text += `${start} ${id} ${name} ${address.host} ${operating} ${admin} 1 1 0 6 3 1 ${check} 0 1 1 - ${address.port} - ${usesTls} 0 - - 0\n`;
    }
  }
  return text;
}
