import { useMemo, useRef, useState } from 'preact/hooks';
import { get, path } from '../api';
import { Empty, ErrorBox, InstanceLink, Status } from '../components';
import { hasEnded } from '../ended';
import { duration } from '../format';
import { useResource } from '../resource';
import { instanceHref, navigate } from '../router';
import { now } from '../store';
import { type InstanceModel, isLive } from './model';
import { type TreeLine, flatten } from './tree';
import type { TreeNode } from './types';

const EVERY_MS = 5_000;
const MOST_LINES = 1_000;

/** The tree of sub-orchestrations. */
export function ChildrenTab({ model }: { model: InstanceModel }) {
  const status = model.status.value;
  const { data: root, error, reload } = useResource<TreeNode>(
    (signal) => get(path`/instances/${model.id}/tree`, undefined, signal),
    [model.id, status?.executionId, status?.lastUpdatedTime],
    isLive(model) ? EVERY_MS : undefined,
  );
  return (
    <>
      {status?.parentInstanceId && (
        <p>
          Started by <InstanceLink id={status.parentInstanceId} />
        </p>
      )}
      {root && root.children.length > 0 && <Tree root={root} />}
      {root && root.children.length === 0 && (
        <Empty title="No sub-orchestrations">It has started no other orchestration in this execution.</Empty>
      )}
      {root?.truncated && <p class="muted">The tree is larger than what is shown.</p>}
      <ErrorBox error={error} retry={reload} feature="trees" />
    </>
  );
}

function Tree({ root }: { root: TreeNode }) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(root.instanceId);
  const list = useRef<HTMLUListElement>(null);
  const lines = useMemo(() => flatten(root, folded, MOST_LINES), [root, folded]);
  const at = Math.max(0, lines.findIndex((line) => line.key === active));

  function focus(index: number): void {
    const line = lines[index];
    if (!line) return;
    setActive(line.key);
    (list.current?.children[index] as HTMLElement | undefined)?.focus();
  }

  function fold(line: TreeLine, isFolded: boolean): void {
    const next = new Set(folded);
    if (isFolded) next.add(line.key);
    else next.delete(line.key);
    setFolded(next);
  }

  function onKeyDown(event: KeyboardEvent): void {
    const line = lines[at];
    if (!line || event.ctrlKey || event.metaKey || event.altKey) return;
    const hasChildren = line.node.children.length > 0;
    const isOpen = hasChildren && !folded.has(line.key);
    if (event.key === 'ArrowDown') focus(at + 1);
    else if (event.key === 'ArrowUp') focus(at - 1);
    else if (event.key === 'Home') focus(0);
    else if (event.key === 'End') focus(lines.length - 1);
    else if (event.key === 'ArrowRight' && isOpen) focus(at + 1);
    else if (event.key === 'ArrowRight' && hasChildren) fold(line, false);
    else if (event.key === 'ArrowLeft' && isOpen) fold(line, true);
    else if (event.key === 'ArrowLeft') focus(lines.findIndex((one) => one.key === line.parent));
    else if (event.key === 'Enter') navigate(instanceHref(line.node.instanceId));
    else return;
    event.preventDefault();
  }

  return (
    <ul ref={list} class="i-tree" role="tree" aria-label="Sub-orchestrations" onKeyDown={onKeyDown} data-test="tree">
      {lines.map((line, index) => (
        <TreeItem
          key={line.key}
          line={line}
          isFolded={folded.has(line.key)}
          isActive={index === at}
          onFocus={() => setActive(line.key)}
          onFold={() => fold(line, !folded.has(line.key))}
        />
      ))}
    </ul>
  );
}

interface ItemProps {
  line: TreeLine;
  isFolded: boolean;
  isActive: boolean;
  onFocus: () => void;
  onFold: () => void;
}

function TreeItem({ line, isFolded, isActive, onFocus, onFold }: ItemProps) {
  const { node, depth } = line;
  const hasChildren = node.children.length > 0;
  const from = Date.parse(node.createdTime);
  const to = hasEnded(node.runtimeStatus ?? '') ? Date.parse(node.lastUpdatedTime) : now.value;
  return (
    <li
      role="treeitem"
      aria-level={depth + 1}
      aria-expanded={hasChildren ? !isFolded : undefined}
      aria-setsize={line.size}
      aria-posinset={line.position}
      aria-selected={isActive}
      tabIndex={isActive ? 0 : -1}
      style={{ paddingLeft: `${depth * 20 + 4}px` }}
      onFocus={onFocus}
    >
      <span class="i-fold" aria-hidden="true" onClick={onFold}>
        {hasChildren ? (isFolded ? '▸' : '▾') : ''}
      </span>
      <InstanceLink id={node.instanceId} tabIndex={-1} />
      <span class="muted">{node.name}</span>
      {node.detached && <span class="tag">not awaited</span>}
      {node.runtimeStatus ? <Status status={node.runtimeStatus} /> : <span class="tag">does not exist</span>}
      <span class="muted">{node.runtimeStatus && duration(to - from)}</span>
    </li>
  );
}
