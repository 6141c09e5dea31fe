import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import { readJsonFile } from './json-files.ts';
import { serviceStateSchema, type Change, type ServiceState } from './service-state.ts';
import { sharesNoted } from './trial-shares.ts';
import { startNoted } from './trial-start.ts';

const STATE_FILE = /^([a-z0-9][a-z0-9-]{0,62})\.json$/;

/** The states of all services: in memory what is on disk, never more. */
export interface ServiceStore {
  names(): readonly string[];
  /** @throws ChangeoverError `ServiceUnknown` */
  get(service: string): ServiceState;
  /**
   * Changes one service; changes of the same service wait for each other. What `change` returns is on disk before
   * anybody sees it or is answered; if it throws, or the disk does, nothing has changed.
   */
  update<T>(service: string, change: (state: ServiceState) => Change<T>): Promise<T>;
  /** The same for a service that may not exist yet. */
  create<T>(service: string, change: (known: ServiceState | undefined) => Change<T>): Promise<T>;
  /** `listener` is called whenever another table became active. */
  onActivated(listener: (service: string) => void): void;
  /** Resolves once every change that was asked for is on disk, or has failed. */
  settled(): Promise<void>;
}

/** Reads what is in `stateDir`. @throws ChangeoverError `Internal` naming the file that is damaged. */
export async function openServiceStore(stateDir: string): Promise<ServiceStore> {
  await mkdir(stateDir, { recursive: true });
  const states = new Map<string, ServiceState>();
  for (const file of await readdir(stateDir)) {
    if (!STATE_FILE.test(file)) continue;
    const state = await readJsonFile<ServiceState>(join(stateDir, file), serviceStateSchema);
    if (state !== undefined) states.set(state.service, state);
  }
  return createStore(stateDir, states);
}

interface Pending {
  readonly change: (known: ServiceState | undefined) => Change<unknown>;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Changes that were asked for while the disk was busy are written together: fifty gateways that acknowledge at once cost
 * one or two writes, not fifty.
 */
function createStore(stateDir: string, states: Map<string, ServiceState>): ServiceStore {
  const pending = new Map<string, Pending[]>();
  const working = new Map<string, Promise<void>>();
  const listeners: ((service: string) => void)[] = [];

  async function work(service: string): Promise<void> {
    for (;;) {
      const batch = pending.get(service);
      if (batch === undefined) {
        working.delete(service);
        return;
      }
      pending.delete(service);
      await applyAll(service, batch);
    }
  }

  /** Each change sees what those before it made; one that throws changes nothing and leaves the others alone. */
  async function applyAll(service: string, batch: readonly Pending[]): Promise<void> {
    const before = states.get(service);
    let state = before;
    const outcomes = batch.map(({ change, resolve, reject }) => {
      try {
        const { state: next, answer } = change(state);
        state = stamped(state, next);
        return { tell: () => resolve(answer), reject };
      } catch (error) {
        // Told after the writing, like the others: it may rest on what was changed before it in the same batch.
        return { tell: () => reject(error), reject };
      }
    });
    try {
      if (state !== undefined && state !== before) {
        await writeFileAtomic(join(stateDir, `${service}.json`), `${JSON.stringify(state)}\n`);
        states.set(service, state);
        if (state.active !== before?.active) for (const listener of listeners) listener(service);
      }
    } catch (error) {
      for (const { reject } of outcomes) reject(error);
      return;
    }
    for (const { tell } of outcomes) tell();
  }

  const store: ServiceStore = {
    names: () => [...states.keys()],
    get: (service) => known(service, states.get(service)),
    update: (service, change) => store.create(service, (state) => change(known(service, state))),
    create: <T>(service: string, change: (state: ServiceState | undefined) => Change<T>) =>
      new Promise<T>((resolve, reject) => {
        let answer: Change<T>['answer'];
        const keep = (state: ServiceState | undefined): Change<unknown> => {
          const made = change(state);
          answer = made.answer;
          return made;
        };
        const waiting = pending.get(service) ?? [];
        pending.set(service, [...waiting, { change: keep, resolve: () => resolve(answer), reject }]);
        if (working.has(service)) return;
        // In a turn of its own, so that what is asked for in the same moment shares a write.
        working.set(
          service,
          Promise.resolve().then(() => work(service)),
        );
      }),
    onActivated: (listener) => void listeners.push(listener),
    async settled() {
      while (working.size > 0) await Promise.all(working.values());
    },
  };
  return store;
}

function known(service: string, state: ServiceState | undefined): ServiceState {
  if (state !== undefined) return state;
  throw new ChangeoverError(
    'ServiceUnknown',
    `The controller does not manage a service ${service}; take it under management first.`,
  );
}

/** With the time at which its table became active, the trial's first one too, and the shares that it asks for. */
function stamped(before: ServiceState | undefined, state: ServiceState): ServiceState {
  if (state.active === before?.active) return state;
  const at = new Date().toISOString();
  return { ...startNoted(sharesNoted(state), at), activeSince: at };
}
