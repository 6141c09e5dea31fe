export const OS_TYPES = ['linux', 'darwin', 'windows'] as const;
export type OsType = (typeof OS_TYPES)[number];

/** One package of a version, for one OS type. */
export interface Package {
  readonly os: OsType;
  /** Folder (absolute) or base URL (http, https) under which `fileName` is found, as seen from the server. */
  readonly path: string;
  readonly fileName: string;
  readonly version: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** What is pushed to a server's agent. */
export type UpgradeParams = Package;
