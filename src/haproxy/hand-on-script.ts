import { join } from 'node:path';
import { ownName } from './handover.ts';

/** Variable of the environment with the address of the Runtime API: scripts of HAProxy 2.6 take no arguments. */
export const OWN_SOCKET = 'CHANGEOVER_SOCKET';

/**
 * A process that was replaced hands its tables to the new one once, when that comes. A transaction whose first answer comes
 * later is handed on by this script: before the answer goes to the client, it is entered into the table of the process that
 * listens on the Runtime API by then, so that whoever sends the next request finds it there.
 */
export const HAND_ON_SCRIPT = `local address = os.getenv("${OWN_SOCKET}") or ""
local host, port = string.match(address, "^%[?([^/@%[%]]+)%]?:(%d+)$")

-- The Runtime API takes few connections at a time: while it has them, no other one comes about.
local function connected()
  local why
  for try = 1, 50 do
    if try > 1 then core.msleep(10) end
    local socket, done = core.tcp()
    socket:settimeout(1)
    if host == nil then done, why = socket:connect(address)
    else done, why = socket:connect(host, tonumber(port)) end
    if done ~= nil then return socket end
    socket:close()
  end
  return nil, why
end

local function enter(command)
  local socket, why = connected()
  if socket == nil then return tostring(why) end
  local sent, answer
  sent, why = socket:send(command .. "\\n")
  if sent ~= nil then answer, why = socket:receive("*a") end
  socket:close()
  if answer == nil then return tostring(why) end
  return string.match(answer, "%S.*")
end

core.register_action("changeover_hand_on", { "http-res" }, function(txn, stick_table, variable)
  local id, server = txn:get_var(variable), txn.f:srv_id()
  if id == nil or server == nil then return end
  -- Separators of the command line are escaped.
  local key = string.gsub(id, "[\\\\ ;<\\t]", "\\\\%0")
  -- An entry that has been handed over names its server too, which would be asked for first.
  local entry = " table " .. stick_table .. " key " .. key
  local problem = enter("clear" .. entry .. "; set" .. entry .. " data.server_id " .. server)
  if problem ~= nil then
    core.log(core.warning, "A transaction could not be handed to the new process: " .. problem)
  end
end, 2)
`;

/** An action of HAProxy, with a stick table and the variable that has the key. */
export const HAND_ON = 'lua.changeover_hand_on';

/** Where the script is. Another name whenever it changes: `render --seed` leaves alone what is there. */
export function handOnScriptFile(folder: string): string {
  return join(folder, 'hand-on-1.lua');
}

/** Where HAProxy runs, and as whom. */
interface Place {
  readonly files: string;
  readonly socket: string;
  readonly user?: string;
  readonly chroot?: string;
}

/** Of the global section. Whoever is shut into a folder reaches no socket outside of it, and has one there. */
export function handOnScriptLines(place: Place): string[] {
  const { files, socket, user, chroot } = place;
  const inside = `/changeover-${ownName(place)}.sock`;
  const owner = user === undefined ? '' : ` user ${user} group ${user}`;
  const address = chroot === undefined ? socket.replace(/^(?:unix|ipv[46])@/, '') : inside;
  return [
    '    # After a reload, transactions that the old process still notes are entered into the new one; without Lua they are not.',
    ...(chroot === undefined ? [] : [`    stats socket ${chroot}${inside}${owner} mode 600 level admin`]),
    `    setenv ${OWN_SOCKET} ${address}`,
    ...whereLua([`lua-load ${handOnScriptFile(files)}`]).map((line) => `    ${line}`),
  ];
}

/** Lines that an HAProxy without Lua passes over. */
export function whereLua(lines: readonly string[]): string[] {
  return ['.if feature(LUA)', ...lines, '.endif'];
}
