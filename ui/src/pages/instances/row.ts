import { preview } from '../../format';
import type { InstanceStatus, Time } from '../../types';

/** Length of a payload in a row. */
const PREVIEW = 160;

/** What a list keeps of an instance. Payloads may be megabytes, so a row has only their beginning. */
export interface InstanceRow {
  id: string;
  name: string;
  version: string;
  /** Status of the API, or `Purged`. */
  status: string;
  created: Time;
  updated: Time;
  parent: string | null;
  tags: [string, string][];
  customStatus: string;
  output: string;
  stopped: string | null;
}

export function rowOf(status: InstanceStatus): InstanceRow {
  return {
    id: status.instanceId,
    name: status.name,
    version: status.version ?? '',
    status: status.runtimeStatus,
    created: status.createdTime,
    updated: status.lastUpdatedTime,
    parent: status.parentInstanceId ?? null,
    tags: Object.entries(status.tags ?? {}),
    customStatus: preview(status.customStatus, PREVIEW),
    output: preview(status.failure?.message ?? status.output, PREVIEW),
    stopped: status.stopped?.message ?? null,
  };
}
