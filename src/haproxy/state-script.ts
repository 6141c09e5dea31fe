import { join } from 'node:path';
import type { ServerRow } from './runtime-answers.ts';
import type { ServerState } from './server-states.ts';

/**
 * HAProxy before 2.9 goes through all servers of a backend to find the one that a command names (`get_backend_server`), so
 * that the time for half of them grows with their square. With this script one command names many, which are found at once.
 * The states are set by the functions that `set server … state` calls.
 */
export const STATE_SCRIPT = `local servers = {}

core.register_init(function()
  for name, backend in pairs(core.backends) do
    servers[name] = {}
    for server, known in pairs(backend.servers) do servers[name][server] = known end
  end
end)

local set = {
  ready = function(server) server:set_ready() end,
  drain = function(server) server:set_drain() end,
  maint = function(server) server:set_maint() end,
}

core.register_cli({ "changeover", "states" }, "changeover states <backend> <state> <server>,<server>…",
  function(applet, _, _, backend, state, names)
    for name in string.gmatch(names, "[^,]+") do
      local server = (servers[backend] or {})[name]
      if server == nil then
        applet:send("There is no server " .. backend .. "/" .. name .. ".\\n")
      else
        set[state](server)
      end
    end
  end)
`;

/** From so many servers on, it is worth a script that has to be there. */
const MANY_SERVERS = 500;
/** Octets of names in a command: a line has to fit into a buffer of HAProxy (16,384 octets by default). */
const NAMES_LENGTH = 4_000;

/** Where the script is. Another name whenever it changes: `render --seed` leaves alone what is there. */
export function stateScriptFile(folder: string): string {
  return join(folder, 'states-1.lua');
}

export function hasStateScript(servers: number): boolean {
  return servers > MANY_SERVERS;
}

/** Of the global section. */
export function stateScriptLines(folder: string): string[] {
  return [
    '    # Thousands of servers change their states by a few commands; without Lua by one each, which takes longer.',
    '    .if feature(LUA)',
    `    lua-load ${stateScriptFile(folder)}`,
    '    .endif',
  ];
}

/** Commands of the script. They say nothing where they succeed. */
export function stateCommands(changes: readonly { row: ServerRow; state: ServerState }[]): string[] {
  const names = new Map<string, string[]>();
  for (const { row, state } of changes) {
    const to = `${row.backend} ${state}`;
    const lists = names.get(to) ?? [];
    const last = lists.at(-1);
    if (last !== undefined && last.length + row.name.length < NAMES_LENGTH)
      lists[lists.length - 1] = `${last},${row.name}`;
    else lists.push(row.name);
    names.set(to, lists);
  }
  return [...names].flatMap(([to, lists]) => lists.map((list) => `changeover states ${to} ${list}`));
}
