import type { RouteTable } from '../domain/routes/table.ts';

/** What executes route tables: this process itself, or an HAProxy beside it. */
export interface DataPlane {
  /** The table that was executed last, or null where there was none. */
  readonly table: RouteTable | null;
  /** Where others execute tables: version of the one that they were told of last, whether or not they say that they do. */
  readonly wanted?: number;
  /**
   * Makes a table ready without changing anything yet; what it returns brings the table into effect. All that is likely
   * to fail does so before, so that a table is stored only where it can be executed.
   *
   * @throws ChangeoverError `InvalidRequest` if this data plane cannot execute the table.
   */
  prepare(table: RouteTable, options: { restored: boolean }): Promise<() => void | Promise<void>>;
  /** The same failures as of `prepare`, without anything left of it. */
  check(table: RouteTable): Promise<void>;
  /**
   * Where others execute the table: sees to it that they do.
   *
   * @throws ChangeoverError where they do not, or do not say so.
   */
  ensure?(): Promise<void>;
  close(): void;
}
