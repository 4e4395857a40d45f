/** Documents that only this page reads. */

import type { Json, OpenStep, RuntimeStatus, Time } from '../types';

/** The result of a replay of the history with the code of this build. */
export interface ReplayOutcome {
  result: 'matches' | 'stops' | 'noCode';
  /** Why the code stops. */
  kind?: string;
  message?: string;
}

/** The state of an orchestration after one of its turns. */
export interface TurnState {
  turn: number;
  time: Time;
  open: OpenStep[];
  customStatus: Json;
  replay: ReplayOutcome;
}

/** An orchestration and those that it has started. */
export interface TreeNode {
  instanceId: string;
  name: string;
  /** `null` if the orchestration does not exist. */
  runtimeStatus: RuntimeStatus | null;
  createdTime: Time;
  lastUpdatedTime: Time;
  /** True if the parent does not wait for it. */
  detached: boolean;
  children: TreeNode[];
  truncated: boolean;
}
